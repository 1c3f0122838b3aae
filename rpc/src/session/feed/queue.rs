//! One subscription that the peer has here.

use std::{
    collections::VecDeque,
    task::{Context, Poll, Waker},
};

use tokio::task::AbortHandle;

use crate::{
    jsonrpc::{
        ErrorObject, Overflow,
        subscription::{ItemWriter, SubscriptionKey},
    },
    session::Bounds,
};

/// What a subscription is made from.
#[derive(Debug)]
pub(crate) struct NewFeed {
    pub(crate) writer: ItemWriter,
    pub(crate) bounds: Bounds,
    pub(crate) task: Option<AbortHandle>,
}

#[derive(Debug)]
pub(super) struct Feed {
    writer: ItemWriter,
    bounds: Bounds,
    /// Brings the items.
    task: Option<AbortHandle>,
    /// The bodies of notifications.
    items: VecDeque<Vec<u8>>,
    bytes: usize,
    /// How many were dropped since the last one left.
    lost: u64,
    /// What is said when the last one has left.
    ended: Option<Vec<u8>>,
    /// Whether that was said, or is about to be.
    is_over: bool,
    /// The stream, while it waits for room.
    producer: Option<Waker>,
}

impl Feed {
    pub(super) fn new(new: NewFeed) -> Self {
        let NewFeed { writer, bounds, task } = new;
        Self {
            writer,
            bounds,
            task,
            items: VecDeque::new(),
            bytes: 0,
            lost: 0,
            ended: None,
            is_over: false,
            producer: None,
        }
    }

    pub(super) const fn key(&self) -> &SubscriptionKey {
        self.writer.key()
    }

    pub(super) fn set_task(&mut self, task: AbortHandle) {
        self.task = Some(task);
    }

    pub(super) fn into_task(self) -> Option<AbortHandle> {
        self.task
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn has_something(&self) -> bool {
        !self.items.is_empty() || self.ended.is_some() || self.lost > 0
    }

    /// Whether nothing will come any more.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    fn has_room(&self) -> bool {
        self.bounds.have_room(self.items.len(), self.bytes)
    }

    pub(super) fn poll_room(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.bounds.overflow != Overflow::Wait || self.has_room() {
            return Poll::Ready(());
        }
        self.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// False where there is no room, and the subscription is to end for it.
    pub(super) fn push(&mut self, body: Vec<u8>) -> bool {
        while !self.has_room() {
            match self.bounds.overflow {
                // The stream was told to wait, and brought this one all the same: there is no better place for it.
                Overflow::Wait => break,
                Overflow::End => return false,
                Overflow::DropOldest => {
                    let dropped = self.items.pop_front().unwrap_or_default();
                    self.bytes -= dropped.len();
                    self.lost += 1;
                }
            }
        }
        self.bytes += body.len();
        self.items.push_back(body);
        true
    }

    pub(super) fn end(&mut self, error: Option<&ErrorObject>) {
        if !self.is_over {
            let mut body = Vec::new();
            self.writer.ended(&mut body, error);
            self.ended = Some(body);
            self.is_over = true;
        }
    }

    /// The next thing to send.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        if self.lost > 0 {
            let mut body = Vec::new();
            self.writer.lost(&mut body, std::mem::take(&mut self.lost));
            return Some(body);
        }
        if let Some(body) = self.items.pop_front() {
            self.bytes -= body.len();
            return Some(body);
        }
        self.ended.take()
    }

    /// The stream that waits for room, if there is some now.
    pub(super) fn room_for(&mut self) -> Option<Waker> {
        if self.has_room() { self.producer.take() } else { None }
    }
}
