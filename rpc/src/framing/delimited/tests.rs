use super::*;
use crate::framing::tests::{fatal_error, feed_chunks, frames};

#[test]
fn lines_come_out_whole_however_they_arrive() {
    let bytes = "{\"a\":1}\r\n\n  \r\n{\"é\":2}  \n{}\n".as_bytes();
    for step in 1..=bytes.len() {
        let (found, errors) = feed_chunks(NewlineFramer::new(), bytes, step, usize::MAX);
        assert_eq!(found, ["{\"a\":1}", "{\"é\":2}", "{}"], "in pieces of {step}");
        assert_eq!(errors, []);
    }
}

#[test]
fn a_line_over_the_limit_is_dropped_and_the_next_is_intact() {
    let bytes = [&[b'x'; 50][..], b"\n{}\n", &[b'y'; 10], b"\n", &[b'z'; 11], b"\n[]\n"].concat();
    for step in [1, 2, 7, 50, 51, 52, 200] {
        let (found, errors) = feed_chunks(NewlineFramer::new(), &bytes, step, 10);
        assert_eq!(found, ["{}", "yyyyyyyyyy", "[]"], "in pieces of {step}");
        assert_eq!(
            errors,
            [FrameError::TooLarge { size: 50, limit: 10 }, FrameError::TooLarge { size: 11, limit: 10 }]
        );
    }
}

#[test]
fn a_line_that_never_ends_is_not_kept() {
    let mut framer = NewlineFramer::new();
    framer.set_limit(10);
    for _ in 0..1000 {
        assert_eq!(framer.next(&[b'x'; 64]).unwrap(), Framed::Dropping { consumed: 64, is_last: false });
    }
}

#[test]
fn values_come_out_whole_however_they_arrive() {
    let values =
        [r#"{"a":[1,{"b":"}]\"\\"}]}"#, "[]", "{}", r#"{"é":"\\\"{"}"#, "[[[[]]]]", "{\n  \"a\": 1\n}", "{]"];
    for between in ["", " ", "\n", "\r\n\t\n"] {
        let bytes = values.join(between) + between;
        for step in 1..=bytes.len() {
            let (found, errors) = feed_chunks(JsonFramer::new(), bytes.as_bytes(), step, usize::MAX);
            assert_eq!(found, values, "in pieces of {step}");
            assert_eq!(errors, []);
        }
    }
}

#[test]
fn a_value_over_the_limit_is_dropped_and_the_next_is_intact() {
    let long = format!(r#"["{}\"]["]"#, "x".repeat(50));
    let bytes = format!(r#"{long}{{}} [1,2,3,4]  [1,2,3,45] {long}[]"#);
    for step in 1..=bytes.len() {
        let (found, errors) = feed_chunks(JsonFramer::new(), bytes.as_bytes(), step, 9);
        assert_eq!(found, ["{}", "[1,2,3,4]", "[]"], "in pieces of {step}");
        assert_eq!(errors, [58, 10, 58].map(|size| FrameError::TooLarge { size, limit: 9 }));
    }
}

#[test]
fn what_is_no_value_ends_the_session_and_is_named() {
    for (bytes, error) in [
        ("{}x{}", "a JSON object or array was expected, and `x` came"),
        ("\"{\"", "a JSON object or array was expected, and `\\\"` came"),
        ("}", "a JSON object or array was expected, and `}` came"),
        ("1 2", "a JSON object or array was expected, and `1` came"),
        ("\u{feff}{}", "a JSON object or array was expected, and `\\xef` came"),
        ("{\"a\n{}", "the rest of a JSON string was expected, and `\\n` came"),
        ("{\"a\\\n{}", "the rest of a JSON string was expected, and `\\n` came"),
    ] {
        for step in 1..=bytes.len() {
            assert_eq!(
                fatal_error(JsonFramer::new(), bytes.as_bytes(), step).to_string(),
                error,
                "{bytes:?}"
            );
        }
    }
}

#[test]
fn a_value_that_never_ends_is_not_kept() {
    let mut framer = JsonFramer::new();
    framer.set_limit(10);
    for _ in 0..1000 {
        assert_eq!(
            framer.next(&[b'['; 64]).expect("open"),
            Framed::Dropping { consumed: 64, is_last: false }
        );
    }
}

#[test]
fn behind_a_message_stands_what_was_chosen() {
    for (framer, written) in [
        (JsonFramer::new(), "{}\n[]\n"),
        (JsonFramer::new().unseparated(), "{}[]"),
        (JsonFramer::new().blank_lines(), "{}\n\n[]\n\n"),
    ] {
        assert_eq!(frames(&framer, &["{}", "[]"]), written.as_bytes());
    }
}
