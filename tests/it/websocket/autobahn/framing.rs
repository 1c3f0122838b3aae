//! Groups 1 and 2: framing, pings and pongs.

use rpc_tests::websocket::{BINARY, PING, PONG, TEXT};

use super::{case, play};

/// Each size at which a length is written in another way, and its neighbours.
const SIZES: [usize; 7] = [0, 125, 126, 127, 128, 65_535, 65_536];

#[tokio::test(start_paused = true)]
async fn group_1_framing() {
    for (group, first, byte) in [(1, TEXT, b'*'), (2, BINARY, 0xfe)] {
        let of = |number: usize, size: usize| {
            case(format!("1.{group}.{number} a message of {size} bytes")).echoed(first, vec![byte; size])
        };
        play(SIZES.into_iter().zip(1..).map(|(size, number)| of(number, size))).await;
        play([of(8, 65_536).in_pieces_of(997)]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_2_pings_and_pongs() {
    let many = |number| {
        (0..10).fold(case(format!("2.{number} ten pings, each answered in turn")), |case, n| {
            case.pings(format!("payload-{n}"))
        })
    };
    play([
        case("2.1 a ping without a payload").pings(""),
        case("2.2 a ping with a text").pings("Hello, world!"),
        case("2.3 a ping with bytes that are no text")
            .pings([0x00, 0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0x00, 0xff]),
        case("2.4 a ping of 125 bytes").pings([0xfe; 125]),
        case("2.5 a ping of 126 bytes").sends(PING, [0xfe; 126]).broken(1002),
        case("2.6 a ping of 125 bytes, byte by byte").pings([0xfe; 125]).in_pieces_of(1),
        case("2.7 a pong without a payload that was not asked for").sends(PONG, ""),
        case("2.8 a pong with a payload that was not asked for").sends(PONG, "unsolicited pong payload"),
        case("2.9 a pong that was not asked for, and a ping")
            .sends(PONG, "unsolicited")
            .pings("ping payload"),
        many(10),
        many(11).in_pieces_of(1),
    ])
    .await;
}
