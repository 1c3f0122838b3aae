//! Carries a schedule out, and compares what is seen with the model whenever nothing can go on without time passing.

use std::time::Duration;

use rpc::CloseReason;
use tokio::time::{Instant, sleep, timeout};

use super::{
    check::{self, Checked},
    due::{Cause, Due, PATIENCE},
    model::{self, Ahead, Model, Ping},
    opened::{Raw, open},
    peer::{Peer, Session},
    schedule::{CUTS, Gap, MOMENT, Schedule, Setup, Step},
};

/// So far a session looks ahead of what waits, at least.
const AHEAD: usize = 60_000;

pub(crate) struct Run<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) stream: &'a [u8],
    pub(crate) model: Model,
    pub(crate) ahead: Ahead,
    pub(crate) peer: Peer,
    pub(crate) session: Session,
    /// Up to where the stream was sent, and when.
    arrivals: Vec<(usize, Instant)>,
    /// What the session was given to send.
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) checked: Checked,
    /// Whether handlers wait.
    pub(crate) is_held: bool,
    /// Whether they do, or have since the session was looked at last: then less is read.
    pub(crate) was_held: bool,
    pub(crate) due: Option<Due>,
    /// When the session was closed by its own side.
    pub(crate) closed: Option<Instant>,
    /// When the peer has ended its stream.
    pub(crate) stream_ended: Option<Instant>,
}

impl<'a> Run<'a> {
    pub(crate) async fn new(schedule: &'a Schedule, model: Model) -> Self {
        let Schedule { setup, stream, early, .. } = schedule;
        let opened = open(setup, &stream[..*early]).await;
        let (peer, session) = Peer::of(opened);
        Self {
            setup,
            stream,
            model,
            ahead: model::look_ahead(stream),
            peer,
            session,
            arrivals: vec![(*early, Instant::now())],
            sent: Vec::new(),
            checked: Checked::default(),
            is_held: false,
            was_held: false,
            due: None,
            closed: None,
            stream_ended: None,
        }
    }

    pub(crate) async fn step(&mut self, step: &Step) {
        match step {
            Step::Write { to, piece, gap } => self.write(*to, *piece, *gap).await,
            Step::Pause(time) => self.pause(*time).await,
            Step::Send(message) => {
                let raw = Raw(message.clone());
                let sent = self.session.session.send(&raw);
                if timeout(MOMENT, sent).await.expect("there is room").is_ok() {
                    self.sent.push(message.clone());
                }
            }
            Step::Read(reads) => {
                self.peer.set_reads(*reads);
                let goes_on = self.ended().is_none();
                if let Some(due) = &mut self.due {
                    // It has to read to the end.
                    due.is_read &= *reads || !goes_on;
                }
            }
            Step::Hold(holds) => self.hold(*holds),
            Step::Close => {
                self.pause(MOMENT).await;
                self.session.session.session().start_close();
                self.closed.get_or_insert_with(Instant::now);
                match &mut self.due {
                    // It may have seen nothing of that yet.
                    Some(due) if !due.is_seen => due.causes.push(Cause::Local),
                    _ => self.is_due(Instant::now(), vec![Cause::Local]),
                }
                self.pause(MOMENT).await;
            }
            Step::End => self.end(false).await,
        }
    }

    /// Sends the rest, and ends what has not ended.
    pub(crate) async fn finish(mut self, vanishes: bool) {
        self.write_all().await;
        self.hold(false);
        self.peer.set_reads(true);
        self.pause(MOMENT).await;
        // What there was no room for while handlers waited.
        self.write_all().await;
        self.end(vanishes).await;
        self.pause(PATIENCE + MOMENT).await;
        check::end(&mut self);
    }

    fn hold(&mut self, holds: bool) {
        self.is_held = holds;
        self.was_held |= holds;
        self.session.holds.send_replace(holds);
    }

    /// How much of the stream was sent.
    pub(crate) fn written(&self) -> usize {
        self.arrivals.last().map_or(0, |(to, _)| *to)
    }

    async fn write_all(&mut self) {
        self.write(self.stream.len(), usize::MAX, Gap::None).await;
        self.pause(MOMENT).await;
    }

    async fn write(&mut self, to: usize, piece: usize, gap: Gap) {
        for left in (0..CUTS).rev() {
            let size = if left == 0 { usize::MAX } else { piece };
            let next = self.written().saturating_add(size).min(to);
            if next <= self.written() {
                break;
            }
            while self.written() < next {
                let piece = &self.stream[self.written()..next];
                let sent = self.peer.write(piece).await;
                if sent == 0 {
                    self.look();
                    return assert!(self.was_held || self.due.is_some(), "the session does not read");
                }
                self.arrivals.push((self.written() + sent, Instant::now()));
            }
            match gap {
                Gap::None => {}
                Gap::Turn => tokio::task::yield_now().await,
                Gap::Moment => self.pause(MOMENT).await,
            }
        }
    }

    async fn pause(&mut self, time: Duration) {
        sleep(time).await;
        self.look();
    }

    async fn end(&mut self, vanishes: bool) {
        // What was sent is read before.
        self.pause(MOMENT).await;
        match vanishes {
            true => self.peer.vanish().await,
            false => self.peer.end().await,
        }
        self.stream_ended.get_or_insert_with(Instant::now);
        let mut causes = vec![Cause::Lost];
        causes.extend(self.half_broken());
        self.is_due(Instant::now(), causes);
        self.pause(MOMENT).await;
    }

    /// Nothing can go on now but by time, or by what the peer does.
    fn look(&mut self) {
        if let Some((at, causes)) = self.what_is_due() {
            self.is_due(at, causes);
        }
        if self.due.is_none() {
            check::open(self);
            self.was_held = self.is_held;
        }
    }

    /// When so many bytes had been sent.
    pub(crate) fn came(&self, bytes: usize) -> Option<Instant> {
        let at = self.arrivals.partition_point(|(to, _)| *to < bytes);
        self.arrivals.get(at).map(|(_, at)| *at)
    }

    /// Whether the session reads what comes, or looks so far ahead.
    pub(crate) fn is_seen(&self) -> bool {
        !self.was_held || self.written() <= AHEAD
    }

    /// How many messages had come whole: by then, or by now.
    pub(crate) fn whole(&self, by: Option<Instant>) -> usize {
        let is_whole = |end: usize| self.came(end).is_some_and(|came| by.is_none_or(|by| came <= by));
        self.model.messages.iter().filter(|message| message.end.is_some_and(is_whole)).count()
    }

    /// The pings that the session has read, or seen ahead: it judges nothing any more while it closes.
    pub(crate) fn pings(&self) -> &[Ping] {
        let looks_ahead = self.was_held || self.closed.is_some();
        let pings = if looks_ahead { &self.ahead.pings } else { &self.model.pings };
        &pings[..pings.partition_point(|ping| ping.end <= self.written())]
    }

    /// When and why the session has ended.
    pub(crate) fn ended(&self) -> Option<(Instant, CloseReason)> {
        self.peer.session_ended()
    }
}
