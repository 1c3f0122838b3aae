//! One of the two who talk: a connection, and the books of its calls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rpc::{
    ErrorObject, Protocol, RawParams, Reply, ReplyError,
    framing::{Framed, Framer, NewlineFramer},
    jsonrpc::{Body, CallId, Connection, Event, Ticket},
};
use serde_json::{Value, json};

use super::{
    Kind, Shape,
    wire::{Arrived, Line},
};

/// A name, so that it is written with escapes.
const METHOD: &str = "say \"é\"\n";

#[derive(Debug)]
pub(super) struct Peer {
    name: &'static str,
    connection: Connection<u64>,
    framer: NewlineFramer,
    unread: Vec<u8>,
    /// The lines of which `unread` holds a part, or that were not looked at yet.
    lines: VecDeque<Line>,
    /// The number of the latest message.
    last: u64,
    last_id: Option<CallId>,
    /// Calls by their numbers.
    in_flight: BTreeMap<u64, CallId>,
    /// How many calls were made; how many ended with their own result or error, in some other way, and not at all.
    calls: u64,
    answered: u64,
    failed: u64,
    forgotten: u64,
    /// The texts of the notifications that were sent, and of those that came.
    told: BTreeSet<String>,
    heard: BTreeSet<String>,
    asked: Vec<Asked>,
    frames: u64,
}

/// A request of the other one's, which waits for its answer.
#[derive(Debug)]
struct Asked {
    ticket: Ticket,
    text: Option<String>,
    made_up: bool,
    /// The batch that it came in.
    batch: Option<u64>,
}

impl Peer {
    pub(super) fn new(name: &'static str, protocol: Protocol) -> Self {
        Self {
            name,
            connection: Connection::new(protocol),
            framer: NewlineFramer::new(),
            unread: Vec::new(),
            lines: VecDeque::new(),
            last: 0,
            last_id: None,
            in_flight: BTreeMap::new(),
            answered: 0,
            failed: 0,
            forgotten: 0,
            calls: 0,
            told: BTreeSet::new(),
            heard: BTreeSet::new(),
            asked: Vec::new(),
            frames: 0,
        }
    }

    pub(super) const fn protocol(&self) -> Protocol {
        self.connection.protocol()
    }

    /// The books are right.
    pub(super) fn check(&self) {
        assert_eq!(self.connection.len(), self.in_flight.len(), "the calls in flight of {}", self.name);
        assert_eq!(self.connection.is_empty(), self.in_flight.is_empty());
        let batches: BTreeSet<u64> = self.asked.iter().filter_map(|asked| asked.batch).collect();
        assert_eq!(
            self.connection.batches_in_progress(),
            batches.len(),
            "the batches that wait for {}",
            self.name
        );
        let ended = self.answered + self.failed + self.forgotten;
        assert_eq!(self.calls, ended + self.in_flight.len() as u64, "every call ends once");
    }

    /// What is sent; nothing where the version has no words for it.
    pub(super) fn send(&mut self, kind: Kind) -> Vec<u8> {
        let (number, text, params) = self.message(kind);
        let (mut body, mut out) = (Vec::new(), Vec::new());
        let body = written(&mut body, &params);
        match kind {
            Kind::Call(_) => match self.connection.request(&mut out, body, number) {
                Ok(id) => self.begin(id, number),
                Err(_) => assert!(out.is_empty(), "half a message"),
            },
            Kind::Notification(_) => match self.connection.notification(&mut out, body) {
                Ok(()) => drop(self.told.insert(text)),
                Err(_) => assert!(out.is_empty(), "half a message"),
            },
        }
        out
    }

    /// Like [`send`](Self::send), for a batch.
    pub(super) fn send_batch(&mut self, members: &[Kind]) -> Vec<u8> {
        let messages: Vec<_> = members.iter().map(|kind| (*kind, self.message(*kind))).collect();
        let mut bodies = vec![Vec::new(); members.len()];
        let members = messages.iter().zip(&mut bodies).map(|((kind, (number, _, params)), body)| {
            (written(body, params), matches!(kind, Kind::Call(_)).then_some(*number))
        });
        let mut out = Vec::new();
        let Ok(ids) = self.connection.batch(&mut out, members) else {
            assert!(out.is_empty(), "half a batch");
            return out;
        };
        let mut ids = ids.into_iter();
        for (kind, (number, text, _)) in messages {
            match kind {
                Kind::Call(_) => {
                    let id = ids.next().expect("an id for each call");
                    self.begin(id, number);
                }
                Kind::Notification(_) => drop(self.told.insert(text)),
            }
        }
        assert_eq!(ids.next(), None, "an id for no call");
        out
    }

    /// Answers a request. Gives what is sent, and whether somebody had made the request up.
    pub(super) fn answer(&mut self, which: usize, fails: bool) -> Option<(Vec<u8>, bool)> {
        let at = which.checked_rem(self.asked.len())?;
        let Asked { ticket, text, made_up, .. } = self.asked.remove(at);
        let mut out = Vec::new();
        let result = match text {
            Some(text) if fails => Err(ErrorObject::new(1, text)),
            Some(text) => Ok(text),
            None => Err(ErrorObject::new(2, "what?")),
        };
        self.connection.respond(&mut out, ticket, &result);
        Some((out, made_up))
    }

    /// Takes in what has arrived. Gives what is said to it at once, and whether the message had been made up.
    pub(super) fn read(&mut self, arrived: &Arrived, polite: bool) -> Vec<(Vec<u8>, bool)> {
        self.unread.extend_from_slice(&arrived.bytes);
        self.lines.extend(arrived.lines.iter().cloned());
        let mut said = Vec::new();
        while !self.unread.is_empty() {
            let consumed = match self.framer.next(&self.unread).expect("a stream of lines is never broken") {
                Framed::Frame { frame, consumed } => {
                    let line = self.next_line();
                    assert_eq!(self.unread[frame], *line.bytes.trim_ascii_end(), "the frame is another line");
                    said.push((self.receive(&line, polite), line.made_up));
                    consumed
                }
                Framed::Incomplete { consumed: 0 } => break,
                Framed::Between { consumed } | Framed::Incomplete { consumed } => consumed,
                Framed::Oversized { .. } | Framed::Dropping { .. } => panic!("without a limit"),
                Framed::Dropped { error, .. } => panic!("without a limit: {error}"),
                Framed::Decoded { .. } => panic!("a line stands in the stream as it is"),
            };
            self.unread.drain(..consumed);
        }
        said
    }

    pub(super) fn forget(&mut self, which: usize) {
        let Some(at) = which.checked_rem(self.in_flight.len()) else { return };
        let (number, id) = self.in_flight.iter().nth(at).map(|(number, id)| (*number, *id)).expect("as many");
        self.in_flight.remove(&number);
        self.forgotten += 1;
        assert_eq!(self.connection.remove(id), Some(number));
        assert_eq!(self.connection.remove(id), None, "a call ends once");
        assert!(self.connection.has_sent(id));
    }

    pub(super) const fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    pub(super) fn batches_in_progress(&self) -> usize {
        self.connection.batches_in_progress()
    }

    pub(super) fn assert_everything_was_answered(&self) {
        assert!(self.in_flight.is_empty(), "{} waits for {:?}", self.name, self.in_flight);
        assert_eq!((self.answered, self.failed), (self.calls, 0), "the calls of {}", self.name);
        assert!(self.unread.is_empty() && self.lines.is_empty());
    }

    pub(super) const fn answered(&self) -> u64 {
        self.answered
    }

    pub(super) const fn told(&self) -> &BTreeSet<String> {
        &self.told
    }

    pub(super) const fn heard(&self) -> &BTreeSet<String> {
        &self.heard
    }

    pub(super) fn hang_up(&mut self) {
        let ended: BTreeSet<u64> = self.connection.drain().collect();
        assert!(ended.iter().eq(self.in_flight.keys()), "{ended:?}: {:?}", self.in_flight);
        self.forgotten += ended.len() as u64;
        self.in_flight.clear();
        self.check();
    }

    /// A number of its own, and the text and the parameters that go with it.
    fn message(&mut self, kind: Kind) -> (u64, String, Value) {
        self.last += 1;
        let text = text(self.name, self.last);
        let (Kind::Call(shape) | Kind::Notification(shape)) = kind;
        let params = match shape {
            Shape::Positional => json!([text]),
            Shape::Named => json!({ "text": text }),
        };
        (self.last, text, params)
    }

    fn begin(&mut self, id: CallId, number: u64) {
        let last = self.last_id.map_or(0, CallId::value);
        assert!(id.value() > last, "an id is used again: {} after {last}", id.value());
        self.last_id = Some(id);
        self.calls += 1;
        assert_eq!(self.in_flight.insert(number, id), None);
    }

    fn next_line(&mut self) -> Line {
        let mut lines = std::iter::from_fn(|| self.lines.pop_front());
        lines.find(|line| !line.bytes.trim_ascii_end().is_empty()).expect("a line for each frame")
    }

    fn receive(&mut self, line: &Line, polite: bool) -> Vec<u8> {
        self.frames += 1;
        let frame = line.bytes.trim_ascii_end();
        // Some peers begin a message with a byte order mark.
        let text = frame.strip_prefix("\u{feff}".as_bytes()).unwrap_or(frame).trim_ascii_start();
        let batch = text.starts_with(b"[").then_some(self.frames);
        let made_up = line.made_up;
        let mut out = Vec::new();
        let mut events = self.connection.events(frame);
        while let Some(event) = events.next(&mut self.connection, &mut out) {
            match event {
                Event::Request { params, ticket, .. } => {
                    let text = said(&params);
                    assert!(made_up || text.is_some(), "other parameters: {params:?}");
                    self.asked.push(Asked { ticket, text, made_up, batch });
                }
                Event::Notification { params, .. } => {
                    let text = said(&params);
                    assert!(made_up || text.is_some(), "other parameters: {params:?}");
                    if let Some(text) = text {
                        let is_new = self.heard.insert(text);
                        assert!(is_new || !polite, "a notification came twice");
                    }
                }
                Event::Reply { call, reply } => self.end(call, reply, made_up),
                Event::Refused { error, .. } => assert!(!polite, "{} refuses: {error}", self.name),
                Event::Unasked(reply) => assert!(!polite, "{} did not ask: {reply:?}", self.name),
                other => panic!("an event that nobody knows: {other:?}"),
            }
        }
        out
    }

    fn end(&mut self, call: u64, reply: Reply, made_up: bool) {
        assert!(self.in_flight.remove(&call).is_some(), "call {call} has ended before");
        let own = text(self.name, call);
        match reply.decode::<String>() {
            Ok(text) if text == own => self.answered += 1,
            Err(ReplyError::Error(error)) if error.message() == own => self.answered += 1,
            // It was refused, or misread by one who was misled.
            Err(_) => self.failed += 1,
            Ok(_) if made_up => self.failed += 1,
            Ok(text) => panic!("the call {own:?} was answered with {text:?}"),
        }
    }
}

/// What a message says: its own text, which no other has.
fn text(name: &str, number: u64) -> String {
    format!("{number} of {name}\r\n[\"é\u{2028}\\,]}}")
}

fn written<'a>(body: &'a mut Vec<u8>, params: &Value) -> Body<'a> {
    Body::write(body, METHOD, |out| serde_json::to_writer(out, params)).expect("a value can be written")
}

fn said(params: &RawParams<'_>) -> Option<String> {
    let params: Value = params.parse(METHOD).ok()?;
    params.get(0).or_else(|| params.get("text"))?.as_str().map(ToOwned::to_owned)
}
