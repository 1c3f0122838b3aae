//! Groups 9 and 10: large messages, many fragments, many messages. Smaller than the suite's where that
//! makes no difference but time.

use rpc_tests::websocket::{BINARY, TEXT};

use super::{Case, case, play};

const KINDS: [(u8, u8); 2] = [(TEXT, b'*'), (BINARY, 0xfe)];

#[tokio::test(start_paused = true)]
async fn group_9_1_and_9_2_large_messages() {
    for ((first, byte), group) in KINDS.into_iter().zip(1..) {
        let of = |size: usize| case(format!("9.{group}.x {size} bytes")).echoed(first, vec![byte; size]);
        play([64 << 10, 256 << 10, 1 << 20].map(|size| of(size).in_pieces_of(16 << 10))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_9_3_and_9_4_large_messages_in_fragments() {
    for ((first, byte), group) in KINDS.into_iter().zip(3..) {
        let of = |(size, fragment): (usize, usize)| {
            let all = vec![byte; size];
            let case = case(format!("9.{group}.x {size} bytes in fragments of {fragment}"));
            case.in_fragments(first, all.chunks(fragment)).in_pieces_of(16 << 10)
        };
        let sizes = [
            (16 << 10, 64),
            (64 << 10, 256),
            (256 << 10, 4 << 10),
            (256 << 10, 64 << 10),
            (1 << 20, 256 << 10),
        ];
        play(sizes.map(of)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_9_5_and_9_6_large_messages_in_pieces() {
    for ((first, byte), group) in KINDS.into_iter().zip(5..) {
        let of = |piece: usize| {
            let case = case(format!("9.{group}.x in pieces of {piece} bytes"));
            case.echoed(first, vec![byte; 64 << 10]).in_pieces_of(piece)
        };
        play([64, 128, 256, 512, 1024, 2048].map(of)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_9_7_and_9_8_many_messages() {
    for ((first, byte), group) in KINDS.into_iter().zip(7..) {
        let of = |size: usize| {
            let each = |case: Case, _| case.echoed(first, vec![byte; size]);
            (0..100).fold(case(format!("9.{group}.x messages of {size} bytes")), each)
        };
        play([0, 16, 64, 256, 1024, 4096].map(of)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn group_10_fragments_that_a_sender_makes_by_itself() {
    let all = vec![b'*'; 65_536];
    play([case("10.1.1 65,536 bytes in fragments of 1,300").in_fragments(TEXT, all.chunks(1300))]).await;
}
