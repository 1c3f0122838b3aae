//! Calls, batches, subscriptions and messages, and the ends of sessions.

use std::{sync::Arc, time::Duration};

use rpc::{
    BatchError, CallError, CloseReason, ErrorCode, ErrorObject, HttpError, ProtocolError, ReplyError,
    SendError, SubscriptionError, Unsupported, framing::FrameError,
};
use serde::de::Error as _;

use super::{PUMP, Pump, Valve, broken_pump, table::Case};

fn wrong_type() -> serde_json::Error {
    serde_json::Error::custom("a text where a number belongs")
}

fn out_of_stock() -> ErrorObject {
    ErrorObject::new(7, "out of stock")
}

fn too_large() -> FrameError {
    FrameError::TooLarge { size: 91, limit: 90 }
}

fn malformed() -> ProtocolError {
    ProtocolError::MalformedReply { reason: "it has two results".into() }
}

const AFTER: Duration = Duration::from_millis(1_500);

fn lost() -> CloseReason {
    CloseReason::Io(Arc::new(broken_pump()))
}

pub(super) fn cases() -> Vec<Case> {
    let sell = || "sell".to_owned();
    let refused = || HttpError::Connect { url: "http://shop".into(), source: Arc::new(broken_pump()) };
    let call: fn(CallError<Pump>, &[&str]) -> Case = Case::of;
    let subscription: fn(SubscriptionError<Pump>, &[&str]) -> Case = Case::of;
    vec![
        call(CallError::Service(Pump { source: Valve }), &PUMP),
        call(CallError::Rpc(out_of_stock()), &["the peer answered with an error", "out of stock (code 7)"]),
        call(CallError::Timeout(AFTER), &["no reply within 1.5s"]),
        call(
            CallError::Closed { reason: lost(), sent: true },
            &["the session is closed", "the connection was lost", PUMP[0], PUMP[1]],
        ),
        call(
            CallError::Closed { reason: CloseReason::Local, sent: false },
            &["the session is closed, and the call was not sent", "closed by this side"],
        ),
        call(
            CallError::Encode { method: sell(), source: wrong_type() },
            &["the parameters of `sell` cannot be sent", "a text where a number belongs"],
        ),
        call(
            CallError::Frame { method: sell(), source: too_large() },
            &["`sell` cannot be called", "91 bytes", "90 bytes"],
        ),
        call(
            CallError::Unsupported { method: sell(), source: Unsupported::Batches },
            &["`sell` cannot be called", "JSON-RPC 1.0 has no batches"],
        ),
        call(
            CallError::Decode { method: sell(), source: wrong_type() },
            &["the result of `sell` cannot be read", "a text where a number belongs"],
        ),
        call(
            CallError::Protocol { method: sell(), source: malformed() },
            &["the reply to `sell` cannot be used", "malformed", "it has two results"],
        ),
        call(CallError::Http(refused()), &["cannot connect to http://shop", PUMP[0], PUMP[1]]),
        Case::of(
            BatchError::Unsupported(Unsupported::EmptyBatch),
            &["the batch cannot be sent", "a batch has at least one member"],
        ),
        Case::of(BatchError::Frame(too_large()), &["the batch cannot be sent", "91 bytes"]),
        Case::of(BatchError::Closed(CloseReason::Local), &["the session is closed", "closed by this side"]),
        Case::of(BatchError::Timeout(AFTER), &["the batch could not be sent within 1.5s"]),
        Case::of(BatchError::Http(refused()), &["cannot connect to http://shop", PUMP[0], PUMP[1]]),
        Case::of(
            BatchError::Encode { index: 3, method: sell(), source: wrong_type() },
            &["`sell`, member 3 of the batch", "a text where a number belongs"],
        ),
        Case::of(
            BatchError::Polled { index: 3, method: sell() },
            &[
                "`sell`, member 3 of the batch, was polled before",
                "put calls into a batch that were not awaited",
            ],
        ),
        Case::of(
            BatchError::Member {
                index: 3,
                method: sell(),
                source: CallError::<Pump>::Rpc(out_of_stock()).into(),
            },
            &[
                "`sell`, member 3 of the batch, failed",
                "the peer answered with an error",
                "out of stock (code 7)",
            ],
        ),
        subscription(SubscriptionError::Service(Pump { source: Valve }), &PUMP),
        subscription(
            SubscriptionError::Rpc(out_of_stock()),
            &["the peer ended the subscription with an error", "out of stock (code 7)"],
        ),
        subscription(SubscriptionError::Lost(5), &["5 items were lost"]),
        subscription(SubscriptionError::TooSlow(5), &["5 items wait"]),
        subscription(SubscriptionError::Timeout(AFTER), &["no sign of life within 1.5s"]),
        subscription(SubscriptionError::Protocol(malformed()), &["malformed", "it has two results"]),
        subscription(
            SubscriptionError::Closed(CloseReason::Peer),
            &["the session is closed", "closed by the peer"],
        ),
        subscription(
            SubscriptionError::Decode(wrong_type()),
            &["an item cannot be read", "a text where a number belongs"],
        ),
        Case::of(SendError::Closed(lost()), &["the session is closed", "the connection was lost", PUMP[1]]),
        Case::of(SendError::Timeout(AFTER), &["no room to send for 1.5s"]),
        Case::of(SendError::Frame(too_large()), &["the message cannot be sent", "91 bytes"]),
        Case::of(
            ReplyError::Error(out_of_stock()),
            &["the peer answered with an error", "out of stock (code 7)"],
        ),
        Case::of(ReplyError::Protocol(malformed()), &["malformed", "it has two results"]),
        Case::of(
            ReplyError::Decode(wrong_type()),
            &["the result cannot be read", "a text where a number belongs"],
        ),
        Case::of(malformed(), &["malformed", "it has two results"]),
        Case::of(ProtocolError::ReplyTooLarge { size: 91, limit: 90 }, &["91 bytes", "90 bytes"]),
        Case::of(Unsupported::NamedParams, &["named parameters"]),
        Case::of(Unsupported::Cancellation, &["a cancellation"]),
        Case::of(Unsupported::Batches, &["batches"]),
        Case::of(Unsupported::EmptyBatch, &["at least one member"]),
        Case::of(Unsupported::Subscriptions, &["subscriptions"]),
        Case::of(Unsupported::Progress, &["no progress can be reported", "result_alone"]),
        Case::of(Unsupported::Calls, &["messages of the application's own"]),
    ]
}

pub(super) fn ends() -> Vec<Case> {
    vec![
        Case::of(CloseReason::Local, &["closed by this side"]),
        Case::of(CloseReason::Aborted, &["aborted by this side"]),
        Case::of(CloseReason::Peer, &["closed by the peer"]),
        Case::of(
            CloseReason::PeerClosed { code: 4_001, reason: "good night".into() },
            &["code 4001", "good night"],
        ),
        Case::of(CloseReason::Shutdown, &["shutting down"]),
        Case::of(lost(), &["the connection was lost", PUMP[0], PUMP[1]]),
        Case::of(CloseReason::Frame(too_large()), &["91 bytes", "90 bytes"]),
        Case::of(
            CloseReason::WrongProtocol { protocol: "SMTP", found: "220 mail".into() },
            &["SMTP", "220 mail"],
        ),
        Case::of(CloseReason::SendTimeout { unsent: 91, after: AFTER }, &["91 bytes", "1.5s"]),
        Case::of(CloseReason::Idle { after: AFTER }, &["nothing came or went for 1.5s"]),
        Case::of(CloseReason::Silent { after: AFTER }, &["nothing for 1.5s"]),
        Case::of(CloseReason::FrameTimeout { received: 91, after: AFTER }, &["91 bytes", "1.5s"]),
        Case::of(CloseReason::OutgoingFull { unsent: 91, limit: 90 }, &["91 bytes", "limit is 90"]),
        Case::of(CloseReason::Cost { cost: 91.0, limit: 90.0 }, &["reached 91", "limit is 90"]),
        Case::of(
            CloseReason::Refused(ErrorObject::new(ErrorCode::EXCESSIVE_RESOURCE_USAGE, "too dear")),
            &["closed by the peer", "-101", "too dear"],
        ),
        Case::of(CloseReason::NoSession, &["no session"]),
        Case::of(CloseReason::Panicked { message: "off by one".into() }, &["panicked", "off by one"]),
        Case::of(CloseReason::RuntimeStopped, &["the runtime"]),
    ]
}

pub(super) fn frames() -> Vec<Case> {
    let found = || "lorem".to_owned();
    vec![
        Case::of(too_large(), &["91 bytes", "90 bytes"]),
        Case::of(FrameError::HeadersTooLarge { limit: 90 }, &["90 bytes"]),
        Case::of(FrameError::InvalidHeader { found: found() }, &["`lorem` is no header"]),
        Case::of(FrameError::InvalidLength { found: found() }, &["`lorem` is no length"]),
        Case::of(FrameError::MissingLength, &["no Content-Length"]),
        Case::of(FrameError::RepeatedLength, &["more than one Content-Length"]),
        Case::of(FrameError::UnsupportedCharset { found: found() }, &["charset `lorem`"]),
        Case::of(
            FrameError::Unexpected { expected: "a comma", found: found() },
            &["a comma", "`lorem` came"],
        ),
        Case::of(
            FrameError::WrongMagic { expected: "ipsum".into(), found: found() },
            &["`lorem`", "`ipsum`"],
        ),
        Case::of(
            FrameError::PayloadTooLarge { command: "inv".into(), size: 91, limit: 90 },
            &["`inv`", "91 bytes", "90 bytes"],
        ),
        Case::of(
            FrameError::WrongChecksum { command: "inv".into(), expected: 0xabc, found: 0xdef },
            &["`inv`", "00000abc", "00000def"],
        ),
        Case::of(FrameError::Invalid(found()), &["the stream is broken", "lorem"]),
    ]
}
