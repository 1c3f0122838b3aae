//! Group 7: how the peer closes.

use rpc_tests::websocket::{CLOSE, PING, TEXT};

use super::{FIRST, LAST, case, play};

/// What a close with a code holds.
fn with(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    [&code.to_be_bytes(), reason.as_ref()].concat()
}

#[tokio::test(start_paused = true)]
async fn group_7_1_what_stands_around_a_close() {
    let normal = with(1000, "");
    play([
        case("7.1.1 a text, and a close").echoed(TEXT, "Hello World!").closes(&normal),
        case("7.1.2 two closes").closes(&normal).behind(CLOSE, &normal),
        case("7.1.3 a ping behind a close").closes(&normal).behind(PING, ""),
        case("7.1.4 a text behind a close").closes(&normal).behind(TEXT, "Hello World!"),
        case("7.1.5 a close between two fragments")
            .sends(FIRST, "fragment1")
            .closes(&normal)
            .behind(LAST, "fragment2"),
        case("7.1.6 a text of 256 KiB, a close, and a ping")
            .echoed(TEXT, vec![b'B'; 256 << 10])
            .closes(&normal)
            .behind(PING, ""),
        // Beyond the suite.
        case("a close with another code behind a close").closes(&normal).behind(CLOSE, with(1001, "late")),
        case("what breaks every rule behind a close").closes(&normal).behind(0xff, [0xff; 126]),
        case("a ping, and a close").pings("ping").closes(&normal),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn group_7_3_and_7_5_what_a_close_holds() {
    play([
        case("7.3.1 a close without a code").closes(""),
        case("7.3.2 a close of one byte").sends(CLOSE, "a").broken(1002),
        case("7.3.3 a close with a code").closes(with(1000, "")),
        case("7.3.4 a close with a code and a reason").closes(with(1000, "Hello World!")),
        case("7.3.5 a close of 125 bytes").closes(with(1000, "*".repeat(123))),
        case("7.3.6 a close of 126 bytes").sends(CLOSE, with(1000, "*".repeat(124))).broken(1002),
        case("7.5.1 a reason that is no text")
            .sends(CLOSE, with(1000, b"\xce\xba\xed\xa0\x80edited"))
            .broken(1007),
        // Beyond the suite.
        case("a reason of many bytes a character").closes(with(4000, "κόσμε \u{1f980}")),
        case("a reason that ends within a character").sends(CLOSE, with(1000, b"\xce")).broken(1007),
        case("a code that may not be sent, and no text").sends(CLOSE, with(999, b"\xff")).broken(1002),
        case("a close in fragments").sends(CLOSE & 0x0f, with(1000, "")).broken(1002),
    ])
    .await;
}

/// RFC 6455, section 7.4, and the registry that it set up: 1012 to 1014 came later.
#[tokio::test(start_paused = true)]
async fn group_7_7_codes_that_may_be_sent() {
    let codes =
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
    play(codes.map(|code| case(format!("7.7.x a close with {code}")).closes(with(code, "")))).await;
    play(codes.map(|code| case(format!("7.7.x a close with {code} and a reason")).closes(with(code, "why"))))
        .await;
}

#[tokio::test(start_paused = true)]
async fn group_7_9_and_7_13_codes_that_may_not() {
    let codes = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];
    let of =
        |code| case(format!("7.9.x, 7.13.x a close with {code}")).sends(CLOSE, with(code, "")).broken(1002);
    play(codes.map(of)).await;
}
