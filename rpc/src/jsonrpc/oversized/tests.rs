use super::*;
use crate::jsonrpc::{ErrorObject, Protocol};

fn answered(message: &str, step: usize) -> Vec<u64> {
    let (mut skim, mut calls) = (Skim::default(), Vec::new());
    for part in message.as_bytes().chunks(step) {
        skim.read(part, |call| calls.push(call.value()));
    }
    assert_eq!(skim.size(), message.len());
    calls
}

#[test]
fn the_call_is_found_wherever_its_id_stands_and_however_the_message_is_cut() {
    let long = "x\\\"}],{".repeat(50);
    for (message, calls) in [
        (format!(r#"{{"jsonrpc":"2.0","id":7,"result":"{long}"}}"#), &[7][..]),
        (format!(r#"{{"jsonrpc": "2.0", "result": ["{long}", {{"id": 8}}], "id": 7 }}"#), &[7]),
        (format!(r#" {{"error":{{"id":8,"message":"{long}"}},"id":7,"result":null}}"#), &[7]),
        (
            r#"[{"id":1,"result":[[],{}]},{"result":{"a":{"id":9}},"id":2},3,{"id":4,"error":{}}]"#.into(),
            &[1, 2, 4],
        ),
        // Requests, even with ids of this side's calls; and replies to no call.
        (format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":["{long}"]}}"#), &[]),
        (format!(r#"{{"method":"result","params":["{long}"],"id":7,"result":1}}"#), &[]),
        (r#"{"id":"7","result":1}"#.into(), &[]),
        (r#"{"id":7.0,"result":1}"#.into(), &[]),
        (r#"{"id":[7],"result":1}"#.into(), &[]),
        (r#"{"id":7000000000000000000000000000,"result":1}"#.into(), &[]),
        (r#"{"result":{"id":7,"result":1}}"#.into(), &[]),
        (r#"{"id":7}"#.into(), &[]),
        (r#"{"id":7,"result":1"#.into(), &[]),
        ("]]}}:,,\"".into(), &[]),
    ] {
        for step in [1, 2, 3, 7, message.len()] {
            assert_eq!(answered(&message, step), calls, "{message} in pieces of {step}");
        }
    }
}

const V1: Version = Version::new(Protocol::V1);
const LOOSE: Version = Version::new(Protocol::Loose);
const DETECT: Version = Version::new(Protocol::Detect);

const SILENCE: Verdict<'static> = Verdict::Silence;
const UNREADABLE: Verdict<'static> = Verdict::Unreadable;

const fn error(id: &str) -> Verdict<'_> {
    Verdict::Error(Id::from_json(id))
}

fn skimmed(message: &str, step: usize) -> Skim {
    let mut skim = Skim::default();
    message.as_bytes().chunks(step).for_each(|part| skim.read(part, |_| {}));
    skim
}

#[test]
fn a_request_is_told_from_what_is_never_answered_however_the_message_is_cut() {
    let long = "x\\\"]}],{".repeat(50);
    for (version, message, verdict) in [
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"method":"m","params":["LONG"]}"#, error("7")),
        (
            Version::V2,
            r#" {"method":"m","params":["LONG"],"id":"a\u0062","jsonrpc":"2.0"} "#,
            error(r#""a\u0062""#),
        ),
        (
            Version::V2,
            "\u{feff}{\"params\":[{\"result\":1,\"id\":8}],\"\\u0069d\":7,\"m\\u0065thod\":\"LONG\"}",
            error("7"),
        ),
        (Version::V2, r#"{"id":null,"method":"LONG"}"#, error("null")),
        // Ids that are malformed, or not allowed by the version.
        (Version::V2, r#"{"id":[1],"method":"LONG"}"#, error("null")),
        (Version::V2, r#"{"id":1 2,"method":"LONG"}"#, error("null")),
        (Version::V2, r#"{"id":"LONGER","method":"m"}"#, error("null")),
        (Version::V2, r#"{"id":true,"method":"LONG"}"#, error("null")),
        (V1, r#"{"id":true,"method":"LONG"}"#, error("true")),
        (V1, r#"{"method":"m","params":["LONG"],"id":7}"#, error("7")),
        // Neither a request nor a response, and complete: the answer says why.
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"x":"LONG"}"#, error("7")),
        (Version::V2, r#"{"x":"LONG"}"#, UNREADABLE),
        // Notifications.
        (Version::V2, r#"{"jsonrpc":"2.0","method":"m","params":[{"id":1},"LONG"]}"#, SILENCE),
        (V1, r#"{"method":"m","params":["LONG"],"id":null}"#, SILENCE),
        (V1, r#"{"method":"m","params":["LONG"]}"#, SILENCE),
        (LOOSE, r#"{"id":null,"method":"m","params":["LONG"]}"#, SILENCE),
        (LOOSE, r#"{"id":null,"method":"LONG","jsonrpc":"2.\u0030"}"#, error("null")),
        (DETECT, r#"{"id":null,"method":"LONG"}"#, SILENCE),
        // Responses, whatever else they are.
        (Version::V2, r#"{"result":"LONG","id":7}"#, SILENCE),
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"r\u0065sult":"LONG"}"#, SILENCE),
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"result":{"method":"LONG"}}"#, SILENCE),
        (V1, r#"{"result":null,"error":"LONG","id":7}"#, SILENCE),
        (Version::V2, r#"{"error":{"message":"LONG"},"id":null,"method":"m"}"#, SILENCE),
        // Arrays.
        (Version::V2, r#"[{"method":"m"},{"id":7,"method":"m","params":["LONG"]}]"#, error("null")),
        (Version::V2, r#"[{"method":"m"},{"method":"m","params":[{"id":1,"method":"LONG"}]}]"#, SILENCE),
        (Version::V2, r#"[{"id":7,"result":"LONG"},{"id":8,"result":1}]"#, SILENCE),
        (Version::V2, r#"[{"id":null,"method":"m","params":["LONG"]}]"#, SILENCE),
        (Version::V2, r#"[1,"LONG"]"#, UNREADABLE),
        // No messages.
        (Version::V2, "LONG", UNREADABLE),
        (Version::V2, r#""LONG""#, UNREADABLE),
        (Version::V2, "}{\"id\":1,\"result\":1}", UNREADABLE),
        (Version::V2, r#"{"id":1,"method"LONG"#, UNREADABLE),
        (Version::V2, r#"{"id":1,"resultLONG"#, UNREADABLE),
        (Version::V2, r#"{"method":"m","params":["LONG"#, UNREADABLE),
    ] {
        let message = message.replace("LONGER", &"x".repeat(MAX_TEXT)).replace("LONG", &long);
        for step in [1, 2, 3, 7, message.len()] {
            let skim = skimmed(&message, step);
            assert_eq!(skim.verdict(version, Rest::Nothing), verdict, "{message} in pieces of {step}");
        }
    }
}

#[test]
fn a_verdict_is_given_as_soon_as_there_can_be_one_and_not_before() {
    for (version, before, decides, verdict) in [
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"method""#, ":", error("7")),
        (Version::V2, r#"{"method":"m","params":[],"id":7"#, ",", error("7")),
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"result""#, ":", SILENCE),
        (Version::V2, r#"{"error""#, ":", SILENCE),
        (V1, r#"{"params":[],"id":7,"method""#, ":", error("7")),
        (DETECT, r#"{"id":7,"method":"m","jsonrpc":"2.0""#, ",", error("7")),
        (Version::V2, r#"[{"method":"m"},{"id":7,"method""#, ":", error("null")),
        (Version::V2, r#"[{"method":"m"},{"result""#, ":", SILENCE),
        (Version::V2, " \u{feff}\n", "x", UNREADABLE),
    ] {
        let mut skim = skimmed(before, 1);
        assert_eq!(skim.verdict(version, Rest::Comes), Verdict::Unknown, "{before}");
        skim.read(decides.as_bytes(), |_| {});
        assert_eq!(skim.verdict(version, Rest::Comes), verdict, "{before}{decides}");
    }
    // Only the end of these tells.
    for (version, message) in [
        (Version::V2, r#"{"jsonrpc":"2.0","method":"m","params":[1"#),
        (V1, r#"{"id":null,"method":"m","params":[1"#),
        (DETECT, r#"{"id":7,"method":"m","params":[1"#),
        (Version::V2, r#"[{"method":"m"}"#),
        (Version::V2, ""),
    ] {
        assert_eq!(skimmed(message, 1).verdict(version, Rest::Comes), Verdict::Unknown, "{message}");
    }
}

#[test]
fn what_is_not_read_to_its_end_is_answered_where_it_may_be_a_request() {
    for (version, message, verdict) in [
        (Version::V2, "", UNREADABLE),
        (Version::V2, r#"{"jsonrpc":"2.0","method":"m","params":[1"#, UNREADABLE),
        // It may be a response to another call with this id.
        (Version::V2, r#"{"jsonrpc":"2.0","id":7,"#, UNREADABLE),
        (Version::V2, r#"[{"method":"m"},"#, UNREADABLE),
        (DETECT, r#"{"id":7,"method":"m","params":[1"#, error("7")),
        (V1, r#"{"id":null,"method":"m","params":[1"#, SILENCE),
        (Version::V2, r#"{"id":7,"result":1"#, SILENCE),
        (Version::V2, r#"[{"id":7,"result":1"#, SILENCE),
    ] {
        assert_eq!(skimmed(message, 1).verdict(version, Rest::Unread), verdict, "{message}");
    }
}

#[test]
fn while_nothing_is_decided_a_peer_that_does_not_say_2_0_is_answered_in_1_0() {
    let error = ErrorObject::new(-1, "no");
    let answer = |message: &str| {
        let mut out = Vec::new();
        skimmed(message, 1).answered_in(DETECT).put_error(&mut out, Id::from_json("7"), &error);
        String::from_utf8(out).expect("text")
    };
    let (v1, v2) = (
        r#"{"result":null,"error":{"code":-1,"message":"no"},"id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}"#,
    );
    for (message, expected) in [
        (r#"{"method":"m","params":[],"id":7}"#, v1),
        (r#"{"jsonrpc":"1.0","method":"m","params":[],"id":7}"#, v1),
        (r#"{"method":"m","params":[],"id":7,"jsonrpc":"2.0"}"#, v2),
        (r#"[{"method":"m","id":7}]"#, v2),
        ("rubbish", v2),
    ] {
        assert_eq!(answer(message), expected, "{message}");
    }
}

#[test]
fn next_to_nothing_is_kept() {
    let mut skim = Skim::default();
    skim.read(br#"{"id":"#, |_| {});
    for _ in 0..1000 {
        skim.read(&[b'1'; 64], |_| {});
        skim.read(br#""x"#, |_| {});
    }
    assert!(skim.text.capacity() <= 2 * MAX_TEXT);
}
