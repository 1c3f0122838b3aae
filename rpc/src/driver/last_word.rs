//! What a client is told that speaks another protocol: once, in its own language where that is known
//! here. Then the session ends.

use super::Driver;
use crate::{
    framing::{AnyFramer, Framing},
    jsonrpc::{ErrorCode, ErrorObject, Id},
    session::put_framed,
    transport::Foreign,
};

impl Driver {
    /// Whether the peer was sent anything, or is about to be.
    pub(super) fn has_sent(&self) -> bool {
        self.write_buffer.messages() > 0 || self.link.queued() > 0
    }

    /// Tells the peer what is spoken here: over HTTP by a response, in another framing by an error of
    /// JSON-RPC. What speaks TLS is sent an error without it, so that it sees that there is none.
    #[cold]
    pub(super) fn answer_foreign(&mut self, foreign: &Foreign) {
        let peer = &self.link.peer;
        let slashes = if peer.as_net().is_some() { "//" } else { "" };
        let place = format!("{}:{slashes}", peer.scheme());
        let own = self.framer.framing();
        let spoken = own.map_or("JSON-RPC", Framing::protocol);
        let answer = match Framing::called(foreign.protocol) {
            _ if foreign.protocol == "HTTP" => {
                bad_request(&format!("{spoken} is spoken here, and no HTTP: connect to {place}"))
            }
            Some(framing) => {
                let Foreign { protocol, found } = foreign;
                let framer = own.map_or("the framing of this side", Framing::in_code);
                let told = |found: &str| {
                    format!(
                        "{spoken} is spoken here, and {protocol} has come, beginning with `{found}`: use `{framer}`"
                    )
                };
                let answer = self.error(&*framing.framer(), told(found));
                // A frame may be short.
                let short = || self.error(&*framing.framer(), told(&found[..found.len().min(12)]));
                if answer.is_empty() { short() } else { answer }
            }
            None => {
                let told = format!(
                    "{} has come, and is not spoken here: connect to {place}, without it",
                    foreign.protocol
                );
                self.error(&*self.framer.cloned(), told)
            }
        };
        self.write_buffer.last_word(&answer);
    }

    fn error(&self, framer: &dyn AnyFramer, told: String) -> Vec<u8> {
        let error = ErrorObject::new(ErrorCode::PARSE_ERROR, told);
        let mut answer = Vec::new();
        // Where it does not fit into a frame, nothing is said.
        let _put = put_framed(framer, &mut answer, |out| {
            self.version.put_error(out, Id::NULL, &error);
        });
        answer
    }
}

fn bad_request(text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
    .into_bytes()
}
