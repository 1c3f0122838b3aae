//! What a stream of frames means, by RFC 6455 and the limits. All of the stream is there from the beginning, and everything that is said
//! of it comes with the number of bytes that it takes to know it.

use std::mem;

use super::frame::{self, CLOSE, CONTINUATION, CONTROL, EMPTY_FRAGMENTS, Head, PING, TEXT, length, masked};

/// What is read.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Messages, whole and not, in order.
    pub(crate) messages: Vec<Message>,
    pub(crate) pings: Vec<Ping>,
    /// Why nothing more is taken.
    pub(crate) end: Option<End>,
    /// With what a side stops to read that has closed, or has refused a message: the first Close, or the first head behind which frames
    /// cannot be told apart.
    pub(crate) farewell: Option<Span>,
}

/// From how many bytes on something may be seen; and from how many it must be: where a head is broken, it may be read to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) from: usize,
    pub(crate) by: usize,
}

/// A message of data.
#[derive(Debug)]
pub(crate) struct Message {
    /// The bytes before its first one.
    pub(crate) start: usize,
    /// The bytes up to its last one, if it is whole.
    pub(crate) end: Option<usize>,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Ping {
    pub(crate) end: usize,
    pub(crate) payload: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) seen: Span,
    pub(crate) how: How,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum How {
    /// A Close frame, with this payload.
    Closed(Vec<u8>),
    /// A broken rule. The peer is told one of these codes: a frame may break several.
    Broken {
        codes: Vec<u16>,
        /// How large a message would be, where it is over the limit.
        size: Option<u64>,
        /// Whether no more than a message was refused: the frames behind it can be told apart, and a Close is waited for.
        in_step: bool,
    },
}

/// What is being read.
struct Reader<'a> {
    stream: &'a [u8],
    is_server: bool,
    limit: usize,
    at: usize,
    /// The message under way: its opcode, and how many of its fragments were empty.
    under_way: Option<(u8, usize)>,
    /// What has come of its payload.
    payload: Vec<u8>,
    /// Whether messages are of no interest any more, as one of them was refused before its end.
    passes_over: bool,
    model: Model,
}

/// What a server, or a client, makes of `stream`.
pub(crate) fn read(stream: &[u8], is_server: bool, limit: usize) -> Model {
    let (under_way, payload, model) = (None, Vec::new(), Model::default());
    let mut reader =
        Reader { stream, is_server, limit, at: 0, under_way, payload, passes_over: false, model };
    while reader.model.farewell.is_none() && reader.frame() {}
    reader.model
}

/// The control frames in a stream, whatever is wrong with the frames before them.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    pub(crate) pings: Vec<Ping>,
    pub(crate) closes: Vec<How>,
}

/// What a session finds that looks ahead, and judges nothing yet.
pub(crate) fn look_ahead(stream: &[u8]) -> Ahead {
    let (mut ahead, mut end) = (Ahead::default(), 0);
    while let Some((head, payload, size)) = frame::read(&stream[end..]) {
        end += size;
        match head.opcode() {
            PING => ahead.pings.push(Ping { end, payload }),
            CLOSE => ahead.closes.push(How::Closed(payload)),
            _ => {}
        }
    }
    ahead
}

impl Reader<'_> {
    /// Reads one frame. Says whether it was there.
    fn frame(&mut self) -> bool {
        let rest = &self.stream[self.at..];
        let Some(first) = rest.first() else { return false };
        // One that may not stand here has time to come, too, until its head is judged.
        if first & 8 == 0 && self.under_way.is_none() && self.model.end.is_none() {
            self.model.messages.push(Message { start: self.at, end: None, payload: Vec::new() });
        }
        let head = Head::read(rest);
        let faults = self.faults(rest, head.map_or(usize::MAX, |head| head.size()));
        let (from, by) =
            (faults.iter().map(|fault| fault.from).min(), faults.iter().map(|fault| fault.by).min());
        if let (Some(from), Some(by)) = (from, by) {
            let seen = Span { from: self.at + from, by: self.at.saturating_add(by) };
            let in_step = faults.iter().all(|fault| fault.code != 1002);
            let size = faults.iter().find_map(|fault| fault.size);
            let codes = faults.iter().map(|fault| fault.code).collect();
            self.end(seen, How::Broken { codes, size, in_step });
            self.passes_over = true;
        }
        let Some(head) = head else { return false };
        // What would not fit into memory does not come either.
        let end =
            usize::try_from(head.length).ok().and_then(|length| (self.at + head.size()).checked_add(length));
        let Some((payload, end)) =
            end.and_then(|end| Some((self.stream.get(self.at + head.size()..end)?, end)))
        else {
            return false;
        };
        self.at = end;
        match head.opcode() {
            _ if self.model.farewell.is_some() => {}
            CLOSE => self.close(masked(payload, head.mask)),
            PING if self.model.end.is_none() => {
                self.model.pings.push(Ping { end, payload: masked(payload, head.mask) });
            }
            _ if head.is_control() || self.passes_over => {}
            opcode => self.data(opcode, head.is_final(), &masked(payload, head.mask)),
        }
        true
    }

    /// The first end counts.
    fn end(&mut self, seen: Span, how: How) {
        if !matches!(how, How::Broken { in_step: true, .. }) {
            self.model.farewell = Some(seen);
        }
        self.model.end.get_or_insert(End { seen, how });
    }

    /// With the frame that ends here.
    fn broken(&mut self, codes: Vec<u16>, in_step: bool) {
        let seen = Span { from: self.at, by: self.at };
        self.end(seen, How::Broken { codes, size: None, in_step });
    }

    fn data(&mut self, opcode: u8, is_final: bool, payload: &[u8]) {
        let is_whole = is_final && self.under_way.is_none();
        let (kind, empty) = self.under_way.take().unwrap_or((opcode, 0));
        self.payload.extend_from_slice(payload);
        if kind == TEXT
            && let Err(error) = std::str::from_utf8(&self.payload)
            // The rest of a character may come in the next fragment.
            && (is_final || error.error_len().is_some())
        {
            self.payload.clear();
            // No fragment of it is to come.
            self.passes_over = !is_whole;
            return self.broken(vec![1007], true);
        }
        if !is_final {
            self.under_way = Some((kind, empty + usize::from(payload.is_empty())));
            return;
        }
        let payload = mem::take(&mut self.payload);
        if self.model.end.is_none() {
            let message = self.model.messages.last_mut().expect("it has begun");
            (message.end, message.payload) = (Some(self.at), payload);
        }
    }

    fn close(&mut self, payload: Vec<u8>) {
        let mut codes = Vec::new();
        if let Some((code, reason)) = payload.split_first_chunk::<2>() {
            let may_be_sent = frame::may_be_sent(u16::from_be_bytes(*code));
            codes.extend((!may_be_sent).then_some(1002));
            codes.extend(std::str::from_utf8(reason).is_err().then_some(1007));
        }
        match codes.is_empty() {
            true => self.end(Span { from: self.at, by: self.at }, How::Closed(payload)),
            false => self.broken(codes, false),
        }
    }
}

/// A rule that the head of a frame breaks.
struct Fault {
    /// With how many bytes of the frame it shows, and with how many it has to be seen.
    from: usize,
    by: usize,
    code: u16,
    size: Option<u64>,
}

impl Reader<'_> {
    /// What is wrong with the head at the front of `rest`, as far as it is there. It has `whole` bytes.
    fn faults(&self, rest: &[u8], whole: usize) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut broken = |is_broken: bool, from: usize, by: usize, code: u16| {
            faults.extend(is_broken.then_some(Fault { from, by, code, size: None }));
        };
        let opcode = rest[0] & 15;
        let is_control = opcode & 8 != 0;
        let is_final = rest[0] & 0x80 != 0;
        // What breaks a rule whatever stands before it is found with the byte that does.
        broken(rest[0] & 0x70 != 0, 1, 1, 1002);
        broken(frame::is_reserved(opcode), 1, 1, 1002);
        broken(is_control && !is_final, 1, 1, 1002);
        let is_judged = !is_control && !self.passes_over;
        broken(is_judged && opcode == CONTINUATION && self.under_way.is_none(), 1, whole, 1002);
        broken(is_judged && opcode != CONTINUATION && self.under_way.is_some(), 1, whole, 1002);
        let Some(second) = rest.get(1) else { return faults };
        broken((second & 0x80 != 0) != self.is_server, 2, 2, 1002);
        broken(is_control && second & 0x7f > CONTROL as u8, 2, 2, 1002);
        broken(opcode == CLOSE && second & 0x7f == 1, 2, whole.saturating_add(1), 1002);
        let Some((extended, length)) = length(rest) else { return faults };
        let seen = 2 + extended;
        let head = Head { first: rest[0], mask: None, extended, length };
        broken(head.has_wrong_length(), seen, seen, 1002);
        if !is_judged {
            return faults;
        }
        let (_, empty) = self.under_way.unwrap_or_default();
        broken(length == 0 && !is_final && empty == EMPTY_FRAGMENTS, seen, whole, 1008);
        let size = length.saturating_add(self.payload.len() as u64);
        if usize::try_from(size).map_or(true, |size| size > self.limit) {
            faults.push(Fault { from: seen, by: whole, code: 1009, size: Some(size) });
        }
        faults
    }
}
