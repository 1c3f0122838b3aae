use super::*;
use crate::jsonrpc::Protocol;

fn body(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn item(writer: &ItemWriter, text: &str) -> String {
    body(|out| {
        writer
            .item::<()>(out, |out| {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            })
            .unwrap();
    })
}

fn scan_item(params: &str) -> Option<(&str, &str)> {
    let plain = scan("m", UncheckedParams::from_text(params)).filter(|plain| plain.is_json())?;
    Some((plain.id, plain.item))
}

/// Reads a body that was written.
fn round(body: &str) -> (SubscriptionKey, String) {
    let message = format!("{{{body}}}");
    let parts: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&message).unwrap();
    let params = parts["params"].to_string();
    let about = read(parts["method"].as_str().unwrap(), RawParams::from_json(&params)).unwrap();
    (SubscriptionKey::of_id(&about.key), format!("{:?}", about.event))
}

#[test]
fn items_of_both_styles_come_back_with_their_key() {
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "eth_subscription");
    let pubsub = ItemWriter::new(info, SubscriptionKey::of_id("\"0x1\""), "[]", Version::V2);
    let text = item(&pubsub, "5");
    assert_eq!(text, r#""method":"eth_subscription","params":{"subscription":"0x1","result":5}"#);
    assert_eq!(round(&text), (pubsub.key().clone(), r#"Item("5")"#.to_owned()));

    let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "scripthash.subscribe");
    let key = SubscriptionKey::of_params("scripthash.subscribe", "[ \"ab\" ]");
    let electrum = ItemWriter::new(info, key, "[ \"ab\" ]", Version::V2);
    let text = item(&electrum, "null");
    assert_eq!(text, r#""method":"scripthash.subscribe","params":[ "ab" ,null]"#);
    assert_eq!(round(&text), (electrum.key().clone(), r#"Item("null")"#.to_owned()));
}

#[test]
fn what_is_lost_of_work_comes_back_with_its_token() {
    let token = Token::of(7);
    let work = |style| ItemWriter::of_work(SubscriptionInfo::of_style(style), &token);
    let text = item(&work(SubscriptionStyle::Progress), "[5]");
    assert_eq!(text, r#""method":"$/progress","params":{"token":"7","value":[5]}"#);
    for (step, params) in
        [(r#"{"progress":5}"#, r#"{"progressToken":"7","progress":5}"#), ("{}", r#"{"progressToken":"7"}"#)]
    {
        let text = item(&work(SubscriptionStyle::McpProgress), step);
        assert_eq!(text, format!(r#""method":"notifications/progress","params":{params}"#));
    }
    let lost = body(|out| work(SubscriptionStyle::Progress).lost(out, 3));
    assert_eq!(round(&lost), (token.key(), "Lost(3)".to_owned()));
}

#[test]
fn the_end_and_the_loss_of_items_are_told_apart_from_items() {
    let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "headers.subscribe");
    let key = SubscriptionKey::of_params("headers.subscribe", "[]");
    let writer = ItemWriter::new(info, key, "[]", Version::V2);
    let text = body(|out| writer.ended(out, None));
    assert_eq!(text, r#""method":"rpc.ended","params":{"subscription":["headers.subscribe",[]]}"#);
    assert_eq!(round(&text), (writer.key().clone(), "Ended(None)".to_owned()));
    let failed = body(|out| writer.ended(out, Some(&ErrorObject::new(7, "no"))));
    assert!(round(&failed).1.contains("\"no\""), "{failed}");
    let lost = body(|out| writer.lost(out, 3));
    assert_eq!(round(&lost), (writer.key().clone(), "Lost(3)".to_owned()));
    for (params, failed) in [
        (r#"{"subscription":1}"#, false),
        (r#"{"subscription":1,"error":null}"#, false),
        (r#"{"subscription":1,"error":"no"}"#, true),
    ] {
        let about = read(ENDED, RawParams::from_json(params)).unwrap();
        assert_eq!(matches!(about.event, SubscriptionEvent::Ended(Some(_))), failed, "{params}");
    }
}

#[test]
fn in_1_0_all_parameters_are_arrays() {
    let v1 = Version::new(Protocol::V1);
    let info = SubscriptionInfo::new(SubscriptionStyle::PubSub, "update");
    let pubsub = ItemWriter::new(info, SubscriptionKey::of_id("\"0x1\""), "[]", v1);
    let text = item(&pubsub, r#"{"a":1}"#);
    assert_eq!(text, r#""method":"update","params":["0x1",{"a":1}]"#);
    let read_text = |method, params| read(method, RawParams::from_json(params));
    let about = read_text("update", r#"["0x1",{"a":1}]"#).unwrap();
    assert_eq!((about.id.as_deref(), about.event), (Some("\"0x1\""), SubscriptionEvent::Item(r#"{"a":1}"#)));

    let ended = body(|out| pubsub.ended(out, None));
    assert_eq!(ended, r#""method":"rpc.ended","params":["0x1"]"#);
    assert_eq!(round(&ended), (pubsub.key().clone(), "Ended(None)".to_owned()));
    let failed = body(|out| pubsub.ended(out, Some(&ErrorObject::new(7, "no"))));
    assert_eq!(failed, r#""method":"rpc.ended","params":["0x1",{"code":7,"message":"no"}]"#);
    assert_eq!(round(&failed).0, pubsub.key().clone());
    assert!(round(&failed).1.contains("\"no\""), "{failed}");

    let info = SubscriptionInfo::new(SubscriptionStyle::Electrum, "tip");
    let electrum = ItemWriter::new(info, SubscriptionKey::of_params("tip", "[1]"), "[1]", v1);
    let lost = body(|out| electrum.lost(out, 3));
    assert_eq!(lost, r#""method":"rpc.lost","params":[["tip",[1]],3]"#);
    assert_eq!(round(&lost), (electrum.key().clone(), "Lost(3)".to_owned()));
    for nothing in ["[]", "[1,2,3]"] {
        assert_eq!(read_text(ENDED, nothing), None, "{nothing}");
    }
    assert_eq!(read_text(LOST, "[1]"), None);
    assert_eq!(read_text(LOST, "[1,-2]"), None);
}

#[test]
fn what_is_about_no_subscription_is_left_alone() {
    for params in ["{}", r#"{"result":1}"#, r#"{"subscription":1}"#, "[]"] {
        assert_eq!(read("m", RawParams::from_json(params)), None, "{params}");
    }
    assert_eq!(read("m", RawParams::NONE), None);
}

#[test]
fn ids_may_be_numbers_and_members_may_come_in_any_order() {
    let about = read("x", RawParams::from_json(r#"{"result":{"a":1},"x":0,"subscription":7}"#)).unwrap();
    assert_eq!((&*about.key, about.event), ("7", SubscriptionEvent::Item(r#"{"a":1}"#)));
}

#[test]
fn an_id_is_looked_up_by_its_value() {
    for (id, known) in [
        (r#""\u0061\/b""#, r#""a/b""#),
        (r#"[1, "\u0061"]"#, r#"[1,"a"]"#),
        ("1e2", "1e2"),
        ("[ 1e2 ]", "[1e2]"),
        (r#""\ud800""#, r#""\ud800""#),
    ] {
        let params = format!(r#"{{"subscription":{id},"result":1}}"#);
        let key = read("x", RawParams::from_json(&params)).unwrap().key;
        assert_eq!(key, known);
        assert_eq!(SubscriptionKey::of_id(&key), SubscriptionKey::of_id(id));
    }
}

#[test]
fn what_stands_behind_a_scanned_item_is_judged() {
    let judged = |text: &str| judge_item(text.as_bytes()).map(|item| item.get().to_owned());
    assert_eq!(judged("null").as_deref(), Ok("null"));
    assert_eq!(judged(r#"[1],"more":2"#).as_deref(), Ok("[1]"));
    for no_item in ["", "1]", "1}", r#"1,"subscription":2"#, r#"1},"id":{"a":1"#] {
        let message = judged(no_item).unwrap_err();
        let text =
            format!(r#"{{"jsonrpc":"2.0","method":"","params":{{"subscription":0,"result":{no_item}}}}}"#);
        assert_eq!(String::from_utf8(message).unwrap(), text);
    }
}

#[test]
fn an_item_of_null_is_one_however_it_is_laid_out() {
    for params in [r#"{"subscription":1,"result":null}"#, r#"{ "subscription": 1, "result": null }"#] {
        let about = read("x", RawParams::from_json(params)).unwrap();
        assert_eq!((&*about.key, about.event), ("1", SubscriptionEvent::Item("null")));
    }
    let plain = scan("x", UncheckedParams::from_text(r#"{"subscription":1,"result":null}"#)).unwrap();
    let item = SubscriptionEvent::Item("null");
    assert_eq!(plain.into_event(), About { key: Cow::Borrowed("1"), id: None, event: item });
}

#[test]
fn what_is_scanned_reads_as_it_does_in_full() {
    let item = scan_item;
    assert_eq!(item(r#"{"subscription":"0x1","result":{"a":[1]}}"#), Some((r#""0x1""#, r#"{"a":[1]}"#)));
    assert_eq!(item(r#"{"subscription":71,"result":"}"}"#), Some(("71", r#""}""#)));
    for left_to_the_full_reader in [
        r#"{"subscription":"\u0031","result":1}"#,
        "{\"subscription\":\"\t\",\"result\":1}",
        r#"{"subscription":1.5,"result":1}"#,
        r#"{"subscription":,"result":1}"#,
        r#"{"subscription":1,"result":1"#,
        r#"{"subscription":"1"#,
        r#"{"result":1,"subscription":1}"#,
        r#"{"subscription":1,"result":[1],"more":2}"#,
        r#"{"subscription":1,"result":1,"subscription":2}"#,
        r#"{"subscription":1,"result":}"#,
        r#"{"subscription":1,"result":1]}"#,
        r#"{"subscription":01,"result":1}"#,
    ] {
        assert_eq!(item(left_to_the_full_reader), None, "{left_to_the_full_reader}");
    }
    // Notices are never items, whatever else they say.
    for method in [ENDED, LOST] {
        let params = RawParams::from_json(r#"{"subscription":1,"result":1}"#);
        assert_eq!(scan(method, params.into()), None);
        let about = read(method, params).unwrap();
        assert!(!matches!(about.event, SubscriptionEvent::Item(_)), "{about:?}");
    }
}

fn report(style: SubscriptionStyle, params: &str) -> Option<(String, String)> {
    let (key, step) = read_report(style, RawParams::from_json(params))?;
    Some((key.as_json().to_owned(), step))
}

#[test]
fn a_step_of_lsp_is_a_value() {
    let read = |params| report(SubscriptionStyle::Progress, params);
    let step = |token: &str, value: &str| {
        Some((format!(r#"{{"token":{token}}}"#), format!(r#"{{"Step":{value}}}"#)))
    };
    assert_eq!(read(r#"{"token":7,"value":[5]}"#), step("7", "[5]"));
    assert_eq!(read(r#"{"value":{"kind":"end"},"token":"a"}"#), step("\"a\"", r#"{"kind":"end"}"#));
    for nothing in ["[]", "{}", r#"{"token":7}"#, r#"{"progressToken":7,"value":1}"#, "null"] {
        assert_eq!(read(nothing), None, "{nothing}");
    }
}

#[test]
fn tokens_are_values() {
    for (style, params) in [
        (SubscriptionStyle::Progress, r#"{"token":"\u0037","value":1}"#),
        (SubscriptionStyle::McpProgress, r#"{"progressToken":"\u0037","progress":1}"#),
    ] {
        let key = |params| read_report(style, RawParams::from_json(params)).map(|(key, _)| key);
        assert_eq!(key(params), Some(SubscriptionKey::of_token("\"7\"")));
        assert_ne!(key(params), Some(SubscriptionKey::of_token("7")));
    }
}

#[test]
fn a_step_of_mcp_is_all_members_but_the_token() {
    let read = |params| report(SubscriptionStyle::McpProgress, params);
    let step = |value: &str| Some((r#"{"token":7}"#.to_owned(), format!(r#"{{"Step":{value}}}"#)));
    // The example of the specification.
    let example = r#"{"progressToken":7,"progress":50,"total":100,"message":"Reticulating splines..."}"#;
    assert_eq!(read(example), step(r#"{"message":"Reticulating splines...","progress":50,"total":100}"#));
    // Members with a meaning in other styles.
    let others = r#"{"error":"e","items":["a"],"result":1,"subscription":"s","token":2,"value":3}"#;
    let with_token = format!(r#"{{"progressToken":7,{}"#, &others[1..]);
    assert_eq!(read(&with_token), step(others));
    assert_eq!(read(r#"{"progressToken":7}"#), step("{}"));
    assert_eq!(read(r#"{"token":7,"value":1}"#), None);
}
