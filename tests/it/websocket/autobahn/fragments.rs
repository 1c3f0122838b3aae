//! Group 5: messages in fragments.

use rpc_tests::websocket::{PING, PONG, TEXT};

use super::{Case, FIRST, LAST, MIDDLE, case, play};

/// The suite cuts each of these in three ways. All of ours are played in three paces: the numbers that
/// differ in that alone stand together.
#[tokio::test(start_paused = true)]
async fn group_5_fragmentation() {
    play([
        case("5.1 a ping in two fragments").sends(0x09, "fragment1").broken(1002).behind(LAST, "fragment2"),
        case("5.2 a pong in two fragments").sends(0x0a, "fragment1").broken(1002).behind(LAST, "fragment2"),
        case("5.3, 5.4, 5.5 a text in two fragments").in_fragments(TEXT, [&b"fragment1"[..], b"fragment2"]),
        case("5.6, 5.7, 5.8 a text in two fragments, and a ping between")
            .sends(FIRST, "fragment1")
            .pings("ping payload")
            .sends(LAST, "fragment2")
            .back("fragment1fragment2"),
        nothing_to_continue("5.9, 5.10, 5.11", LAST).behind(TEXT, "Hello, world!"),
        nothing_to_continue("5.12, 5.13, 5.14", MIDDLE).behind(TEXT, "Hello, world!"),
        case("5.15 a text in two fragments, an open continuation of nothing, and a text")
            .in_fragments(TEXT, [&b"fragment1"[..], b"fragment2"])
            .sends(MIDDLE, "fragment3")
            .broken(1002)
            .behind(TEXT, "fragment4"),
        twice(nothing_to_continue("5.16", MIDDLE), MIDDLE),
        twice(nothing_to_continue("5.17", LAST), LAST),
        case("5.18 a text in two fragments that both say that they are a text")
            .sends(FIRST, "fragment1")
            .sends(TEXT, "fragment2")
            .broken(1002),
        case("5.19, 5.20 a text in five fragments, with two pings between")
            .sends(FIRST, "fragment1")
            .sends(MIDDLE, "fragment2")
            .pings("pongme 1!")
            .sends(MIDDLE, "fragment3")
            .sends(MIDDLE, "fragment4")
            .pings("pongme 2!")
            .sends(LAST, "fragment5")
            .back("fragment1fragment2fragment3fragment4fragment5"),
    ])
    .await;
}

fn nothing_to_continue(number: &str, first: u8) -> Case {
    let what = if first == LAST { "a continuation" } else { "an open continuation" };
    case(format!("{number} {what} of nothing")).sends(first, "non-continuation payload").broken(1002)
}

/// Behind the first one: a text in two fragments, and all of it once more.
fn twice(first: Case, again: u8) -> Case {
    let text = |case: Case| case.behind(FIRST, "fragment1").behind(LAST, "fragment2");
    text(text(first).behind(again, "non-continuation payload"))
}

/// Beyond the suite.
#[tokio::test(start_paused = true)]
async fn fragments_of_every_kind_come_together() {
    play([
        case("a binary message in three fragments").in_fragments(0x82, [&[0xff, 0x00][..], &[0xc3], &[0x28]]),
        case("empty fragments at the start, between and at the end")
            .in_fragments(TEXT, [&b""[..], b"", b"a", b"", b"", b"b", b""]),
        case("two messages in fragments behind each other")
            .in_fragments(TEXT, [&b"one"[..], b"two"])
            .in_fragments(TEXT, [&b"three"[..], b"four", b"five"]),
        case("pings and pongs between all fragments")
            .pings("before")
            .sends(FIRST, "")
            .pings("behind an empty one")
            .sends(PONG, "")
            .sends(MIDDLE, "a")
            .pings("")
            .pings("another")
            .sends(LAST, "")
            .back("a")
            .pings("after"),
        case("a binary message within a text in fragments")
            .sends(FIRST, "fragment1")
            .sends(0x82, "binary")
            .broken(1002)
            .behind(LAST, "fragment2"),
        case("a ping in fragments within a text in fragments")
            .sends(FIRST, "fragment1")
            .sends(PING & 0x0f, "p")
            .broken(1002)
            .behind(LAST, "ing"),
    ])
    .await;
}
