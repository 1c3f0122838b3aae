use super::*;

/// Feeds the bytes one by one: how many are needed for the verdict, and the verdict.
fn dripped(bytes: &[u8]) -> (usize, Opening) {
    for seen in 1..=bytes.len() {
        match Opening::of(&bytes[..seen], false) {
            Opening::Undecided | Opening::Blank => {}
            decided => return (seen, decided),
        }
    }
    (bytes.len(), Opening::of(bytes, false))
}

fn protocol(opening: &Opening) -> Option<&'static str> {
    match opening {
        Opening::Foreign(foreign) => Some(foreign.protocol),
        _ => None,
    }
}

const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn other_protocols_are_known_at_once_and_byte_by_byte() {
    for (bytes, expected) in [
        (&b"POST /a:b HTTP/1.1\r\n"[..], "HTTP"),
        (b"GET / HTTP/1.0\r\n", "HTTP"),
        (b"post / http/1.1\n", "HTTP"),
        (b"M-SEARCH * HTTP/1.1\r\n", "HTTP"),
        (b"x!#$%&'*+-.^_`|~ /?u={\"http://x HTTP/1.1\r\n", "HTTP"),
        (b"GET http://127.0.0.1:8000/{ HTTP/1.1\r\n", "HTTP"),
        (b"GET no/target HTTP/1.1\r\n", "HTTP"),
        (b"CONNECT [::1]:443 HTTP/1.1\r\n", "HTTP"),
        (b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n", "HTTP"),
        (b"OPTIONS * HTTP/1.1\r\n", "HTTP"),
        (b"GET /\xc3\xa9 HTTP/1.1\r\n", "HTTP"),
        (b"\r\n\r\nGET / HTTP/1.1\r\n", "HTTP"),
        (b"GET /\r\n", "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        (b"OPTIONS rtsp://x RTSP/1.0\r\n", "RTSP"),
        (b"INVITE sip:a@b SIP/2.0\r\n", "SIP"),
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (HELLO, "TLS"),
        (b"\x16\x03\x03\x00\x7b\x01\x00\x00\x77\x03\x03", "TLS"),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "TLS"),
        (b"\x80\x67\x01\x03\x01\x00\x4e\x00\x00\x00\x10", "TLS"),
        (b"\x15\x03\x03\x00\x02\x02\x0a", "TLS"),
        (b"\x15\x03\x01\x00\x02\x01\x00", "TLS"),
        (b"EHLO example.org\r\n", "SMTP"),
        (b"helo x\n", "SMTP"),
        (b"MAIL FROM:<a@example.org>\r\n", "SMTP"),
        (b"QUIT\r\n", "SMTP"),
        (b"USER anonymous\r\n", "FTP or POP3"),
        (b"NICK x\r\n", "IRC"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        (b"220 mail.example.org ESMTP\r\n", "SMTP or FTP"),
        (b"220-mail.example.org ESMTP\r\n", "SMTP or FTP"),
        (b"+OK ready\r\n", "POP3"),
        (b"-ERR unknown command\r\n", "POP3 or Redis"),
        (b"* OK ready\r\n", "IMAP"),
        (b"RFB 003.008\n", "RFB"),
    ] {
        let (seen, opening) = dripped(bytes);
        assert_eq!(protocol(&opening), Some(expected), "{} after {seen}", bytes.escape_ascii());
        assert_eq!(protocol(&Opening::of(bytes, false)), Some(expected), "{}", bytes.escape_ascii());
        // With anything after it.
        let followed = [bytes, b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"wipe\"}\r\n\r\n"].concat();
        assert_eq!(protocol(&Opening::of(&followed, false)), Some(expected), "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_line_that_ends_with_the_stream_is_whole() {
    for (bytes, expected) in [
        (&b"QUIT"[..], Some("SMTP")),
        (b"GET / HTTP/1.1", Some("HTTP")),
        (b"QUI", None),
        (b"\x16\x03\x01", None),
    ] {
        assert_eq!(Opening::of(bytes, false), Opening::Undecided);
        assert_eq!(protocol(&Opening::of(bytes, true)), expected, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_target_without_end_is_a_request_and_other_words_without_end_are_not() {
    for (start, expected) in [("POST /", Some("HTTP")), ("POST ", None), ("", None), ("QUIT ", None)] {
        let bytes = format!("{start}{}", "x".repeat(5_000));
        let (seen, opening) = dripped(bytes.as_bytes());
        assert!(seen <= 1024, "{seen} bytes were held");
        assert_eq!(protocol(&opening), expected, "{start}");
    }
}

#[test]
fn blanks_decide_nothing() {
    for blanks in ["\n", "\r\n \t\n", &"\n".repeat(5_000)] {
        assert_eq!(Opening::of(blanks.as_bytes(), false), Opening::Blank);
        assert_eq!(Opening::of(blanks.as_bytes(), true), Opening::Blank);
    }
}

#[test]
fn what_no_protocol_begins_with_is_left_to_the_framer() {
    for bytes in [
        &b"{\"jsonrpc\":\"2.0\"}\n"[..],
        b"[{\"jsonrpc\":\"2.0\"}]\n",
        b"\r\n \t{}\n",
        b"\xef\xbb\xbf{}\n",
        b"Content-Length: 7\r\n\r\n{\"a\":1}",
        b"content-type: x HTTP/1.1\r\n",
        b"12:{\"a\": 1},",
        b"garbage\n",
        b"more garbage\n",
        b"GET x\n",
        b"QUITE\n",
        b"null\n",
        b"\x80\n",
        b"\x16\n",
        b"220\n",
        b"220 {}\n",
        b"2200\n",
        b"\xf9\xbe\xb4\xd9verack\0\0\0\0\0\0",
        b"\0\0\0\x02{}",
        b"\x02{}",
        b"\x16{\"a\":",
        b"\x15{\"a\":",
    ] {
        let (seen, opening) = dripped(bytes);
        assert!(
            matches!(opening, Opening::Ours | Opening::Undecided),
            "{} after {seen}",
            bytes.escape_ascii()
        );
        assert_eq!(Opening::of(bytes, false), Opening::Ours, "{}", bytes.escape_ascii());
    }
}

/// Lengths of one, two, four and eight bytes that look like the start of another protocol, with
/// messages after them. Those of eight bytes are limited to sizes that fit into memory.
#[test]
fn no_message_behind_a_length_is_taken_for_something_else() {
    let messages: &[&[u8]] = &[
        b"{\"a\": 1}",
        b"[{\"a\":1}]",
        b"\n{\"a\":1}",
        b" [{\"a\":1}]",
        b"\xef\xbb\xbf{}",
        b"\r\n\t{ \"a\" : 1 }",
    ];
    let words: &[&[u8]] = &[
        b"G",
        b"GE",
        b"GET ",
        b"POST",
        b"P ",
        b"PRI ",
        b"HTTP",
        b"SSH-",
        b"220 ",
        b"220-",
        b"+OK ",
        b"* OK",
        b"-ERR",
        b"RFB ",
        b"MAIL",
        b"USER",
        b"G\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0GE",
        b"\x16\x03\x01\0\0\0\0\0",
        b"\x16",
        b"\x16\x03",
        b"\x16\x03\x01\x00",
        b"\x15\x03\x03\x00",
        b"\x80\x2e\x01\x00",
        b"\x80\x2e\x01\x03",
        b"A B ",
    ];
    for word in words {
        for message in messages {
            if matches!(*word, b"MAIL" | b"USER") && matches!(message[0], b'\r' | b'\n') {
                // Over a GiB whose first byte is a line break.
                continue;
            }
            let bytes = [*word, *message].concat();
            let (seen, opening) = dripped(&bytes);
            assert_eq!(opening, Opening::Ours, "{} after {seen}", bytes.escape_ascii());
            assert_eq!(Opening::of(&bytes, false), Opening::Ours, "{}", bytes.escape_ascii());
        }
    }
}

#[test]
fn what_came_is_shown_escaped_and_in_part() {
    let Opening::Foreign(foreign) =
        Opening::of(b"GET /\x1b[2J\xff{ HTTP/1.1\r\nHost: a.example.org\r\n", false)
    else {
        panic!("it is HTTP")
    };
    assert_eq!(foreign.found, r"GET /\x1b[2J\xff{ HTTP/1.1\r\nHost: a.example.or…");
}

#[tokio::test(start_paused = true)]
async fn so_many_a_minute_are_logged_and_the_others_are_counted() {
    let rate = LogRate::default();
    let admitted = |times: u32| (0..times).filter_map(|_| rate.admit()).collect::<Vec<_>>();
    assert_eq!(admitted(300), [0; 10]);
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(admitted(5), [0; 0]);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(admitted(3), [295, 0, 0]);
    assert_eq!(admitted(8), [0; 7]);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(admitted(1), [1]);
}
