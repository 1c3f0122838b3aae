//! Two connections that talk to each other step by step, over a link that the test moves by hand, and the books that are kept of it:
//! what was asked, what was answered, what is in flight.
//!
//! Where the steps come from is the test's affair: property tests draw them, fuzz targets read them from bytes.

mod peer;
mod wire;

use rpc::Protocol;

use peer::Peer;
use wire::Wire;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The first.
    A,
    /// The second.
    B,
}

impl Who {
    const BOTH: [Self; 2] = [Self::A, Self::B];

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// How the parameters of a message are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// In an array.
    Positional,
    /// In an object.
    Named,
}

/// A message, or a member of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is answered.
    Call(Shape),
    /// It is not.
    Notification(Shape),
}

impl Kind {
    const fn is_named(self) -> bool {
        matches!(self, Self::Call(Shape::Named) | Self::Notification(Shape::Named))
    }
}

/// One thing that happens. A number that picks something among several counts from the oldest, and begins again behind the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Sends one message.
    Send(Who, Kind),
    /// Sends several as one.
    Batch(Who, Vec<Kind>),
    /// Answers one of the requests that wait: with a result, or with an error.
    Answer(Who, usize, bool),
    /// So many bytes arrive.
    Flow(Who, usize),
    /// Forgets one of the calls in flight.
    Forget(Who, usize),
    /// A message on its way to this one is lost.
    Lose(Who, usize),
    /// A message on its way to this one arrives twice.
    Double(Who, usize),
    /// A message on its way to this one is overtaken by all others.
    Delay(Who, usize),
    /// A line arrives that the other one never sent.
    MakeUp(Who, Vec<u8>),
}

/// Two connections, and the link between them.
#[derive(Debug)]
pub struct Conversation {
    peers: [Peer; 2],
    /// The way to each of them.
    wires: [Wire; 2],
    polite: bool,
}

impl Conversation {
    /// Both say only what the other one's version knows. Nothing may be refused, and every call is answered.
    pub fn polite(a: Protocol, b: Protocol) -> Self {
        Self { polite: true, ..Self::rude(a, b) }
    }

    /// Anything goes. Calls may be lost, and still none may get the answer to another.
    pub fn rude(a: Protocol, b: Protocol) -> Self {
        let peers = [Peer::new("A", a), Peer::new("B", b)];
        Self { peers, wires: [Wire::default(), Wire::default()], polite: false }
    }

    /// Does one step, and looks whether the books are right.
    ///
    /// # Panics
    ///
    /// Where they are not.
    pub fn step(&mut self, step: &Step) {
        match step {
            Step::Send(who, kind) if self.may_say(*who, &[*kind], false) => {
                let sent = self.peer(*who).send(*kind);
                self.post(*who, sent, false);
            }
            Step::Batch(who, members) if self.may_say(*who, members, true) => {
                let sent = self.peer(*who).send_batch(members);
                self.post(*who, sent, false);
            }
            Step::Send(..) | Step::Batch(..) => {}
            Step::Answer(who, which, fails) => {
                if let Some((sent, made_up)) = self.peer(*who).answer(*which, *fails) {
                    self.post(*who, sent, made_up);
                }
            }
            Step::Flow(who, bytes) => self.flow(*who, *bytes),
            Step::Forget(who, which) => self.peer(*who).forget(*which),
            Step::Lose(who, which) => self.wire(*who).lose(*which),
            Step::Double(who, which) => self.wire(*who).double(*which),
            Step::Delay(who, which) => self.wire(*who).delay(*which),
            Step::MakeUp(who, line) => self.wire(*who).make_up(line),
        }
        self.peers.iter().for_each(Peer::check);
    }

    /// Lets everything arrive, and answers everything that was asked, until nothing is left to do.
    ///
    /// # Panics
    ///
    /// Where there is no end to it, or something is left.
    pub fn settle(&mut self) {
        // Requests, their answers, and what is said to those.
        for _ in 0..5 {
            for who in Who::BOTH {
                self.step(&Step::Flow(who, usize::MAX));
                while self.peer(who).is_asked() {
                    self.step(&Step::Answer(who, 0, false));
                }
            }
        }
        assert!(self.wires.iter().all(Wire::is_empty), "there is no end to it: {self:?}");
        for peer in &self.peers {
            assert_eq!(peer.batches_in_progress(), 0, "everything was answered");
        }
    }

    /// Every call has ended with its own answer, and every notification was heard.
    ///
    /// # Panics
    ///
    /// Where that is not so.
    pub fn assert_everything_was_answered(&self) {
        let [a, b] = &self.peers;
        for (one, other) in [(a, b), (b, a)] {
            one.assert_everything_was_answered();
            assert_eq!(one.told(), other.heard(), "the notifications that were sent, and those that came");
        }
    }

    /// How many calls of this one have ended with their own answer.
    pub fn answered(&self, who: Who) -> u64 {
        self.peers[who as usize].answered()
    }

    /// Ends the calls that nobody will answer.
    ///
    /// # Panics
    ///
    /// Where others are found.
    pub fn hang_up(&mut self) {
        self.peers.iter_mut().for_each(Peer::hang_up);
    }

    /// What 1.0 has no words for is not said to those who speak nothing else; nor is anything, before it is known that they do.
    fn may_say(&self, who: Who, kinds: &[Kind], is_batch: bool) -> bool {
        let [speaker, hearer] = [who, who.other()].map(|who| self.peers[who as usize].protocol());
        let limited = hearer == Protocol::V1 || speaker == Protocol::V1;
        let known = !is_batch && speaker != Protocol::Detect && !kinds.iter().any(|kind| kind.is_named());
        !self.polite || !limited || known
    }

    fn flow(&mut self, to: Who, bytes: usize) {
        let arrived = self.wires[to as usize].flow(bytes);
        for (answer, made_up) in self.peers[to as usize].read(&arrived, self.polite) {
            self.post(to, answer, made_up);
        }
    }

    fn post(&mut self, from: Who, message: Vec<u8>, made_up: bool) {
        if !message.is_empty() {
            self.wire(from.other()).post(message, made_up);
        }
    }

    const fn peer(&mut self, who: Who) -> &mut Peer {
        &mut self.peers[who as usize]
    }

    const fn wire(&mut self, to: Who) -> &mut Wire {
        &mut self.wires[to as usize]
    }
}
