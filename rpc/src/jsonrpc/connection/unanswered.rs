//! What of ours an error to no call may mean, besides the calls in flight.

/// How many calls are remembered that were given up.
const MOST: usize = 64;

/// What was sent and has no answer that names it: calls that were given up, whose replies may still
/// come, and notifications, which some peers answer with an error where they cannot take them.
#[derive(Debug)]
pub(super) struct Unanswered {
    given_up: Vec<u64>,
    /// Whether more calls were given up than are remembered: then any error may mean one of them.
    is_full: bool,
    /// The first call that is sent behind the last notification; 0 where there was none.
    behind_notification: u64,
    /// The latest call that was answered. Peers refuse what they cannot read in the order in which
    /// it comes: an error that a notification before this call has caused has come, too.
    last_answered: u64,
}

impl Unanswered {
    pub(super) const fn new() -> Self {
        Self { given_up: Vec::new(), is_full: false, behind_notification: 0, last_answered: 0 }
    }

    /// A call is not waited for any more.
    pub(super) fn gave_up(&mut self, call: u64) {
        match self.given_up.len() < MOST {
            true => self.given_up.push(call),
            false => self.is_full = true,
        }
    }

    /// A reply has come to a call in flight.
    pub(super) const fn answered(&mut self, call: u64) {
        if call > self.last_answered {
            self.last_answered = call;
        }
    }

    /// A reply has come to a call that is not in flight.
    pub(super) fn answered_late(&mut self, call: u64) {
        if let Some(at) = self.given_up.iter().position(|&given_up| given_up == call) {
            self.given_up.swap_remove(at);
        }
    }

    /// A notification is sent, and `last_call` was the last call before it.
    pub(super) const fn notified(&mut self, last_call: u64) {
        self.behind_notification = last_call + 1;
    }

    /// Whether an error to no call can mean nothing but a call in flight.
    pub(super) const fn is_empty(&self) -> bool {
        self.given_up.is_empty() && !self.is_full && self.last_answered >= self.behind_notification
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_given_up_counts_until_its_reply_comes() {
        let mut unanswered = Unanswered::new();
        assert!(unanswered.is_empty());
        unanswered.gave_up(3);
        unanswered.gave_up(4);
        assert!(!unanswered.is_empty());
        // Others were answered, one of them twice.
        unanswered.answered(5);
        unanswered.answered_late(5);
        unanswered.answered_late(3);
        assert!(!unanswered.is_empty());
        unanswered.answered_late(4);
        assert!(unanswered.is_empty());
    }

    #[test]
    fn a_notification_counts_until_a_later_call_is_answered() {
        let mut unanswered = Unanswered::new();
        unanswered.notified(0);
        assert!(!unanswered.is_empty());
        unanswered.answered(1);
        assert!(unanswered.is_empty());
        unanswered.notified(2);
        // It was sent before.
        unanswered.answered(2);
        assert!(!unanswered.is_empty());
        unanswered.answered(4);
        unanswered.answered(3);
        assert!(unanswered.is_empty());
    }

    #[test]
    fn more_calls_than_are_remembered_are_not_forgotten_as_such() {
        let mut unanswered = Unanswered::new();
        let calls = 1..=MOST as u64 + 1;
        calls.clone().for_each(|call| unanswered.gave_up(call));
        calls.for_each(|call| unanswered.answered_late(call));
        assert!(unanswered.given_up.is_empty());
        assert!(!unanswered.is_empty());
    }
}
