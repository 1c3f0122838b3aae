use super::{read::scan, *};

fn reads_and_writes(text: &str) -> (Protocol, WireVersion) {
    let version = detect(text).unwrap_or_else(|| panic!("nothing was detected: {text}"));
    (version.reads, version.writes)
}

#[test]
fn the_first_message_decides() {
    use Protocol::{Loose, V1, V2};
    for (text, reads, writes) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"m"}"#, V2, WireVersion::V2),
        (r#"{"jsonrpc":"1.0","id":1,"method":"m","params":[]}"#, V1, WireVersion::V1),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":null}"#, V2, WireVersion::V2),
        (r#"{"id":1,"result":1,"error":null}"#, V1, WireVersion::V1),
        (r#"{"id":1,"method":"m","params":[]}"#, Loose, WireVersion::V1),
        (r#"{"id":1,"result":1}"#, Loose, WireVersion::V2),
        (r#"{"jsonrpc":2.0,"id":1,"method":"m"}"#, Loose, WireVersion::V2),
        (r#" {"jsonrpc":"2\u002e0"} "#, V2, WireVersion::V2),
        ("5", Loose, WireVersion::V2),
        ("null", Loose, WireVersion::V2),
        ("[]", Loose, WireVersion::V2),
    ] {
        assert_eq!(reads_and_writes(text), (reads, writes), "{text}");
    }
}

#[test]
fn in_a_batch_strict_2_0_wins_over_1_0_over_loose() {
    use Protocol::{Loose, V1, V2};
    let (v2, v1, loose) = (
        r#"{"jsonrpc":"2.0","method":"m"}"#,
        r#"{"jsonrpc":"1.0","id":null,"method":"m","params":[]}"#,
        r#"{"id":1,"method":"m"}"#,
    );
    for (members, reads) in
        [(vec![loose, v1, v2], V2), (vec![v1, loose], V1), (vec![loose, "5"], Loose), (vec!["[]"], Loose)]
    {
        assert_eq!(reads_and_writes(&format!("[{}]", members.join(", "))).0, reads, "{members:?}");
    }
}

#[test]
fn what_is_no_json_decides_nothing() {
    for text in ["", "{", "[1,", "NaN", "{} {}"] {
        assert_eq!(detect(text), None, "{text}");
    }
}

fn read(text: &str) -> Message<'_> {
    Version::V2.read_in_full(text.as_bytes())
}

fn malformed(text: &str) -> (String, String, bool) {
    match read(text) {
        Message::Malformed(m) => (m.id.to_string(), m.error.to_string(), m.answer),
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn requests_in_any_order_with_anything_around() {
    for text in [
        r#"{"method":"add","params":[1],"id":"x","jsonrpc":"2.0"}"#,
        " { \"id\" : \"x\" , \"jsonrpc\":\"2.0\", \"extra\": {\"id\":1}, \"method\":\"a\\u0064d\", \"params\":[1] } ",
        "\u{feff}{\"jsonrpc\":\"2\\u002e0\",\"id\":\"x\",\"method\":\"add\",\"params\":[1]}",
    ] {
        match read(text) {
            Message::Request(request) => {
                assert_eq!(request.id, Some(Id::from_json("\"x\"")));
                assert_eq!(request.method, "add");
                assert_eq!(request.params.as_json(), Some("[1]"));
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_null_id_makes_a_request_and_no_id_a_notification() {
    assert!(
        matches!(read(r#"{"jsonrpc":"2.0","id":null,"method":"m"}"#), Message::Request(r) if r.id == Some(Id::NULL))
    );
    assert!(
        matches!(read(r#"{"jsonrpc":"2.0","method":"m","params":null}"#), Message::Request(r) if r.id.is_none())
    );
}

#[test]
fn what_is_no_request_is_answered_with_its_id_where_that_can_be_read() {
    for (text, id, error) in [
        (r#"{"jsonrpc":"2.0","id":1}"#, "1", "`method` is missing (code -32600)"),
        (
            r#"{"jsonrpc":"2.0","id":[],"method":"m"}"#,
            "null",
            "`id` must be a string, a number or null, not []",
        ),
        (r#"{"jsonrpc":"2.0","id":true,"method":"m"}"#, "null", "not true"),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, "1", "`method` must be a string, not 1"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"m","params":5}"#,
            "1",
            "`params` must be an array or an object, not 5",
        ),
        (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, "1", "`jsonrpc` must be \"2.0\", not \"1.0\""),
        (r#"{"id":1,"method":"m"}"#, "1", "`jsonrpc` is missing"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"m"}"#, "2", "the member `id` is there twice"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":1}"#, "1", "also a response"),
        ("5", "null", "a message is an object, not 5 (code -32600)"),
        ("{", "null", "(code -32700)"),
        ("", "null", "(code -32700)"),
        ("NaN", "null", "(code -32700)"),
        (r#"{"jsonrpc":"2.0","method":"m"} x"#, "null", "(code -32700)"),
    ] {
        let (got_id, got, answer) = malformed(text);
        assert!(got.contains(error), "{text}: {got}");
        assert_eq!(got_id, id, "{text}");
        assert!(answer, "{text}");
    }
}

#[test]
fn a_broken_response_is_never_answered() {
    let (.., answer) = malformed(r#"{"jsonrpc":"2.0","result":1}"#);
    assert!(!answer);
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":"text"}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":null}"#,
        r#"{"id":1,"result":1}"#,
    ] {
        assert!(
            matches!(read(text), Message::Response(Response { outcome: Outcome::Malformed(_), .. })),
            "{text}"
        );
    }
}

#[test]
fn responses() {
    let response = |text| match read(text) {
        Message::Response(response) => response,
        other => panic!("{text}: {other:?}"),
    };
    assert!(matches!(response(r#"{"jsonrpc":"2.0","id":1,"result":null}"#).outcome, Outcome::Result("null")));
    assert!(matches!(
        response(r#"{"result":5,"error":null,"id":1,"jsonrpc":"2.0"}"#).outcome,
        Outcome::Result("5")
    ));
    let error = response(
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":-5,"message":"m","x":1,"data":[1]}}"#,
    );
    assert!(matches!(error.outcome, Outcome::Error(e) if e.code().value() == -5 && e.raw_data().is_some()));
    for (data, raw) in [(r#","data": null "#, Some("null")), ("", None)] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":1,"message":"m"{data}}}}}"#);
        let Message::Response(Response { outcome: Outcome::Error(error), .. }) = read(&text) else {
            panic!("{text}")
        };
        assert_eq!(error.raw_data().map(RawValue::get), raw);
    }
}

#[test]
fn a_deep_or_huge_message_is_read_without_recursion() {
    let deep = "[".repeat(100_000);
    assert!(malformed(&deep).1.contains("-32700"));
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m","params":{deep}}}"#);
    malformed(&text);
    let huge_id = format!(r#"{{"jsonrpc":"2.0","id":{},"method":"m"}}"#, "7".repeat(5000));
    assert!(matches!(read(&huge_id), Message::Request(r) if r.id.unwrap().as_json().len() == 5000));
}

/// A message that is scanned is read the same in full.
#[test]
fn a_scan_agrees_with_reading_in_full() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
        r#"{"jsonrpc":"2.0","id":"a-1","method":"add","params":{"a":1}}"#,
        r#"{"jsonrpc":"2.0","id":12345,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":[{"x":1,"id":7}],"id":"x"}"#,
        r#"{"jsonrpc":"2.0","method":"ping","id":3}"#,
        r#"{"jsonrpc":"2.0","method":"log","params":["x"]}"#,
        r#"{"jsonrpc":"2.0","method":"log"}"#,
    ] {
        let scanned = scan(text).unwrap_or_else(|| panic!("not recognised: {text}"));
        let (Scanned::Request(scanned), Message::Request(read)) =
            (scanned, Version::V2.read_in_full(text.as_bytes()))
        else {
            panic!("no request: {text}")
        };
        assert!(read.is_same(&scanned), "{text}: {scanned:?}");
    }
}

/// A message that is scanned and checked is read the same in full, even if it has more than the
/// scan has seen.
#[test]
fn a_checked_scan_says_the_same_as_reading_in_full() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2] }"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"log","params":{"a":[{}]}}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":[1],"id":1,"params":[2],"id":2}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":[1,],"id":1}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":{"a":1},"extra":[],"id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1],"params":[2]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1],"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1]]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":nullx}"#,
        r#"{"jsonrpc":"2.0","id":1,"result": {"a":"}"} }"#,
        r#"{"jsonrpc":"2.0","id":1,"result":5}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"m"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":5,"extra":6}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":}"#,
    ] {
        for version in [Version::V2, Version::new(Protocol::Loose), Version::new(Protocol::V1)] {
            let (checked, full) =
                (version.read_checked(text.as_bytes()), version.read_in_full(text.as_bytes()));
            assert_eq!(format!("{checked:?}"), format!("{full:?}"), "{text}");
        }
    }
}

#[test]
fn what_is_laid_out_otherwise_is_left_to_the_full_reader() {
    for text in [
        r#"{"jsonrpc":"1.0","id":1,"method":"add","params":[1,2]}"#,
        r#"{ "jsonrpc":"2.0","id":1,"method":"add"}"#,
        r#"{"id":1,"jsonrpc":"2.0","method":"add"}"#,
        r#"{"jsonrpc":"2.0","id":-1,"method":"add"}"#,
        r#"{"jsonrpc":"2.0","id":01,"method":"add"}"#,
        r#"{"jsonrpc":"2.0","id":1.0,"method":"add"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a\u0064d"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"add","params":5}"#,
        r#"{"jsonrpc":"2.0","method":"add","params":"[1]","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"}}"#,
        "",
        "[]",
    ] {
        assert!(scan(text).is_none(), "{text}");
    }
}
