//! Groups 3 and 4: reserved bits, opcodes.

use rpc_tests::websocket::{BINARY, CLOSE, PING, PONG, TEXT};

use super::{Case, FIRST, LAST, case, play};

/// A frame that breaks a rule, between a text and a ping.
fn between(number: &str, what: &str, first: u8, payload: &str) -> Case {
    let between = case(format!("{number} a text, {what}, and a ping")).echoed(TEXT, "Hello, world!");
    between.sends(first, payload).broken(1002).behind(PING, "")
}

#[tokio::test(start_paused = true)]
async fn group_3_reserved_bits() {
    let text = "Hello, world!";
    play([
        case("3.1 a text with RSV 1").sends(TEXT | 0x10, text).broken(1002),
        between("3.2", "a text with RSV 2", TEXT | 0x20, text),
        between("3.3", "a text with RSV 3", TEXT | 0x30, text),
        between("3.4", "a text with RSV 4, byte by byte", TEXT | 0x40, text).in_pieces_of(1),
        case("3.5 a binary message with RSV 5").sends(BINARY | 0x50, [0x00, 0xff]).broken(1002),
        case("3.6 a ping with RSV 6").sends(PING | 0x60, text).broken(1002),
        case("3.7 a close with RSV 7").sends(CLOSE | 0x70, 1000_u16.to_be_bytes()).broken(1002),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn group_4_opcodes() {
    for (group, opcode) in [(1, 3), (2, 11)] {
        let of = |number: u8, payload: &str| {
            let (number, opcode) = (format!("4.{group}.{number}"), opcode + number - 1);
            match number.ends_with(['1', '2']) {
                true => case(number + " an unknown opcode").sends(0x80 | opcode, payload).broken(1002),
                false => between(&number, "an unknown opcode", 0x80 | opcode, payload),
            }
        };
        let payload = "reserved opcode payload";
        play([of(1, ""), of(2, payload), of(3, ""), of(4, payload), of(5, payload).in_pieces_of(1)]).await;
    }
}

/// Beyond the suite: reserved bits and opcodes within a message in fragments, where they are as wrong.
#[tokio::test(start_paused = true)]
async fn within_a_message_in_fragments_the_same_rules_hold() {
    let begun = |what: &str| case(format!("within fragments: {what}")).sends(FIRST, "fragment1");
    play([
        begun("a continuation with RSV 1").sends(LAST | 0x10, "fragment2").broken(1002),
        begun("a ping with RSV 4").sends(PING | 0x40, "ping").broken(1002),
        begun("an unknown opcode").sends(0x83, "").broken(1002),
        begun("an unknown control opcode").sends(0x8b, "").broken(1002),
        begun("a ping of 126 bytes").sends(PING, [b'x'; 126]).broken(1002),
        begun("a pong, a ping, the rest")
            .sends(PONG, "unasked")
            .pings("asked")
            .sends(LAST, "fragment2")
            .back("fragment1fragment2"),
    ])
    .await;
}
