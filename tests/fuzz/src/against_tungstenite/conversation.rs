//! A session and the library, talking to each other.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use rpc::{CloseReason, Connector, Context, KeepAlive, Limits, Params, Router, Session};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf},
    time::{Instant, sleep, timeout, timeout_at},
};
use tungstenite::{
    Message, WebSocket,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{
    judged::pieces,
    library::{Said, Wire, library, next},
};
use crate::websocket::{
    frame::FRAGMENT,
    model::{How, Model},
    opened::shaken,
    schedule::{MOMENT, Schedule, Setup, Step},
};

/// When a session asks its peer whether it is there, and how long it waits.
const INTERVAL: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(2);

type Texts = Arc<Mutex<Vec<String>>>;

struct Conversation {
    session: Session,
    /// What has come to the session.
    taken: Texts,
    /// What each side has sent.
    sent_by_session: Vec<String>,
    sent_by_library: Vec<String>,
    library: WebSocket<Wire>,
    said: Vec<Said>,
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    /// How much of what the library writes comes at once.
    piece: usize,
}

/// The steps of a schedule, as far as honest peers can take them: the library sends the messages that the model reads in the stream.
///
/// # Panics
///
/// Where a message does not come to the other side as it was sent, or a close not with its code.
pub(super) async fn understand_each_other(schedule: &Schedule, model: &Model, piece: usize) {
    let mut conversation = Conversation::open(&schedule.setup, piece).await;
    let (mut messages, mut pings) = (model.messages.iter().peekable(), model.pings.iter().peekable());
    for step in &schedule.steps {
        match step {
            Step::Write { to, .. } => {
                while let Some(message) =
                    messages.next_if(|message| message.end.is_some_and(|end| end <= *to))
                {
                    conversation.send_by_library(&message.payload);
                }
                while let Some(ping) = pings.next_if(|ping| ping.end <= *to) {
                    conversation.ping_by_library(&ping.payload).await;
                }
                conversation.go_on(MOMENT).await;
            }
            Step::Send(message) => conversation.send_by_session(message).await,
            Step::Pause(time) => conversation.pause(*time).await,
            Step::Close => return conversation.close_by_session().await,
            Step::End => break,
            Step::Read(_) | Step::Hold(_) => {}
        }
    }
    let close = match model.end.as_ref().map(|end| &end.how) {
        Some(How::Closed(payload)) => payload.split_first_chunk().map(|(code, reason)| CloseFrame {
            code: u16::from_be_bytes(*code).into(),
            reason: String::from_utf8_lossy(reason).into_owned().into(),
        }),
        _ => None,
    };
    // The library does not know this one.
    let close = close.filter(|close| u16::from(close.code) != 1014);
    conversation.close_by_library(close).await;
}

impl Conversation {
    async fn open(setup: &Setup, piece: usize) -> Self {
        let taken = Texts::default();
        let router = {
            let taken = Arc::clone(&taken);
            Router::new().method("m", move |params: Params, _: Context| {
                let text = params.parse::<(String,)>().map(|(text,)| text);
                let text = text.map(|text| taken.lock().expect("nothing panics").push(text));
                async move { text }
            })
        };
        let setup = Setup { capacity: 1 << 20, ..*setup };
        let (session, (from, to)) = shaken(&setup, &[], async |websocket| {
            let connector = Connector::over_websocket(websocket).service(router).limits(Limits::unlimited());
            let keep_alive = KeepAlive::ping().interval(INTERVAL).limit(LIMIT);
            connector.keep_alive(keep_alive).connect().await.expect("the two are connected already")
        })
        .await;
        let library = library(!setup.is_server, None, FRAGMENT);
        let (sent_by_session, sent_by_library, said) = (Vec::new(), Vec::new(), Vec::new());
        Self { session, taken, sent_by_session, sent_by_library, library, said, from, to, piece }
    }

    async fn send_by_session(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        self.session.notify("m", (&text,)).await.expect("there is room");
        self.sent_by_session.push(text);
        self.go_on(MOMENT).await;
    }

    /// Every other message is a text, and every third is in fragments.
    fn send_by_library(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text).into_owned();
        let params = serde_json::to_string(&text).expect("a text");
        let message = format!(r#"{{"jsonrpc":"2.0","method":"m","params":[{params}]}}"#);
        let number = self.sent_by_library.len();
        let is_text = number.is_multiple_of(2);
        if number % 3 == 2 {
            self.send_fragments(message.as_bytes(), if is_text { Data::Text } else { Data::Binary });
        } else {
            let message = if is_text { Message::text(message) } else { Message::binary(message) };
            self.library.write(message).expect("it is open");
        }
        self.sent_by_library.push(text);
    }

    fn send_fragments(&mut self, message: &[u8], kind: Data) {
        let size = message.len() / 3 + 1;
        let count = message.len().div_ceil(size);
        for (number, part) in message.chunks(size).enumerate() {
            let opcode = OpCode::Data(if number == 0 { kind } else { Data::Continue });
            let frame = Frame::message(part.to_vec(), opcode, number + 1 == count);
            self.library.write(Message::Frame(frame)).expect("it is open");
        }
    }

    async fn ping_by_library(&mut self, payload: &[u8]) {
        self.library.write(Message::Ping(payload.to_vec().into())).expect("it is open");
        let before = self.said.len();
        self.go_on(MOMENT).await;
        let pong = Said::Pong(payload.to_vec());
        assert!(self.said[before..].contains(&pong), "a ping was not answered");
    }

    /// The session asks whether the library is there, and it is.
    async fn pause(&mut self, time: Duration) {
        let before = self.said.len();
        self.go_on(time).await;
        let pings = self.said[before..].iter().filter(|said| **said == Said::Ping(Vec::new())).count();
        assert!(time <= INTERVAL + LIMIT || pings > 0, "no ping in {time:?}");
        assert!(!self.session.is_closed(), "{:?}", self.session.close_reason());
    }

    /// Carries bytes both ways for so long.
    async fn go_on(&mut self, time: Duration) {
        let until = Instant::now() + time;
        let mut space = vec![0; 64 << 10];
        loop {
            self.carry_to_session().await;
            let is_over = matches!(self.said.last(), Some(Said::Ended | Said::Broken(_)));
            if is_over {
                return sleep(until - Instant::now()).await;
            }
            let Ok(read) = timeout_at(until, self.from.read(&mut space)).await else { return };
            let read = read.expect("memory does not fail");
            let wire = self.library.get_mut();
            match read {
                0 => wire.has_ended = true,
                _ => wire.incoming.push_back(space[..read].to_vec()),
            }
            while let Some(said) = next(&mut self.library) {
                let is_over = matches!(said, Said::Ended | Said::Broken(_));
                self.said.push(said);
                if is_over {
                    break;
                }
            }
        }
    }

    async fn carry_to_session(&mut self) {
        drop(self.library.flush());
        let written = mem::take(&mut self.library.get_mut().written);
        for piece in pieces(&written, self.piece) {
            drop(self.to.write_all(piece).await);
            tokio::task::yield_now().await;
        }
    }

    async fn close_by_session(mut self) {
        self.session.start_close();
        self.go_on(MOMENT).await;
        self.check(&CloseFrame { code: 1000.into(), reason: "".into() }.into());
        let reason = self.end().await;
        assert!(matches!(reason, CloseReason::Local), "{reason:?}");
    }

    async fn close_by_library(mut self, close: Option<CloseFrame>) {
        drop(self.library.close(close.clone()));
        self.go_on(MOMENT).await;
        self.check(&close);
        let expected =
            close.map_or((1005, String::new()), |close| (close.code.into(), close.reason.to_string()));
        match self.end().await {
            CloseReason::PeerClosed { code, reason } => assert_eq!((code, reason), expected),
            reason => panic!("{reason:?}"),
        }
    }

    /// Why the session has ended.
    async fn end(&self) -> CloseReason {
        timeout(Duration::ZERO, self.session.closed()).await.expect("it has ended")
    }

    /// Everything has come, and then a Close, and then the end.
    fn check(&self, close: &Option<CloseFrame>) {
        #[derive(Deserialize)]
        struct Notification {
            method: String,
            params: (String,),
        }

        let messages = self.said.iter().filter_map(|said| match said {
            Said::Message(message) => Some(message),
            _ => None,
        });
        let read = |message: &Vec<u8>| {
            let Notification { method, params } = serde_json::from_slice(message).expect("a notification");
            assert_eq!(method, "m");
            params.0
        };
        assert!(messages.map(read).eq(self.sent_by_session.iter().cloned()), "another message was sent");
        assert!(*self.taken.lock().expect("nothing panics") == self.sent_by_library, "another has come");
        let end = [Said::Closed(close.clone()), Said::Ended];
        assert!(self.said.ends_with(&end), "{:?} and not {end:?}", self.said.last());
        let is_open = |said: &Said| !matches!(said, Said::Closed(_) | Said::Ended | Said::Broken(_));
        assert!(self.said[..self.said.len() - 2].iter().all(is_open));
    }
}
