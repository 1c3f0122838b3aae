//! The end of a session that is due: since when, for what, and when its connection is over.

use std::time::Duration;

use rpc::CloseReason;
use tokio::time::Instant;

use super::{
    model::{End, How, Span},
    run::Run,
};

/// How long a session waits at its end for the peer.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The end that is due.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    /// One of these. It is only open which where a head is broken that has not come whole.
    pub(crate) causes: Vec<Cause>,
    /// How many messages come before it.
    pub(crate) messages: usize,
    /// Whether the peer reads, from then on.
    pub(crate) is_read: bool,
    /// Whether the session reads on, or looks ahead so far.
    pub(crate) is_seen: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// The peer has said something, or broken a rule.
    Peer(How),
    /// The stream has ended.
    Lost,
    /// A message was not finished in time.
    Late,
    /// This side has closed.
    Local,
}

impl Run<'_> {
    /// An end, and since when it is due.
    pub(super) fn what_is_due(&self) -> Option<(Instant, Vec<Cause>)> {
        let late = self.late().map(|at| (at, vec![Cause::Late]));
        let Some(End { seen, how }) = &self.model.end else { return late };
        let peer = match (self.came(seen.by), self.session.session.session().close_reason()) {
            // It need not be seen yet.
            (None, Some(CloseReason::Frame(_))) => self.came(seen.from),
            (came, _) => came,
        };
        let peer = peer.map(|at| (at, vec![Cause::Peer(how.clone())]));
        [late, peer].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    pub(super) fn is_due(&mut self, at: Instant, mut causes: Vec<Cause>) {
        if self.due.is_some() {
            return;
        }
        let is_broken = causes.iter().any(|cause| matches!(cause, Cause::Peer(How::Broken { .. })));
        if self.was_held && is_broken {
            // What waits is not judged before an end behind it is found.
            causes.extend(self.ahead.closes.iter().cloned().map(Cause::Peer));
            causes.push(Cause::Lost);
        }
        let messages = self.whole(Some(at));
        let is_read = self.peer.reads_since(at);
        // Behind a message that waits only an end is looked for, and not for ever.
        // A handler that waits is waited for, too.
        let is_local = causes.iter().any(|cause| matches!(cause, Cause::Local));
        let is_seen = self.is_seen() && !(self.was_held && (is_broken || is_local));
        self.due = Some(Due { at, causes, messages, is_read, is_seen });
    }

    /// When a message was not finished in time.
    fn late(&self) -> Option<Instant> {
        let timeout = self.setup.frame_timeout?;
        let late = self.model.messages.iter().filter_map(|message| {
            let deadline = self.came(message.start + 1)? + timeout;
            let came = message.end.and_then(|end| self.came(end));
            (deadline <= Instant::now() && came.is_none_or(|came| came > deadline)).then_some(deadline)
        });
        late.min()
    }

    /// A broken rule that shows in a head whose end has not come.
    pub(super) fn half_broken(&self) -> Option<Cause> {
        let End { seen, how } = self.model.end.as_ref()?;
        let written = self.written();
        (seen.from <= written && written < seen.by).then(|| Cause::Peer(how.clone()))
    }

    /// From when on the connection of a session may be over that ends for `cause`, and by when it must be.
    pub(super) fn over(&self, due: &Due, cause: &Cause) -> (Instant, Instant) {
        let latest = due.at + PATIENCE;
        let stream_ended = self.stream_ended.unwrap_or(latest);
        let came = |bytes| self.came(bytes).unwrap_or(stream_ended);
        let (from, by) = match cause {
            Cause::Peer(How::Closed(_)) | Cause::Lost | Cause::Late => (due.at, due.at),
            Cause::Peer(How::Broken { in_step: false, .. }) => (stream_ended, stream_ended),
            // A Close is waited for, or anything else that ends the stream.
            Cause::Peer(How::Broken { .. }) | Cause::Local => match self.model.farewell {
                Some(Span { from, by }) => (came(from).min(stream_ended), came(by).min(stream_ended)),
                None => (stream_ended, stream_ended),
            },
        };
        (from.clamp(due.at, latest), by.clamp(due.at, latest))
    }
}
