//! Peers that mean harm. Whatever they do, they are held off, and nobody else notices.

use std::{io, sync::Arc, time::Duration};

use rpc_tests::Random;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::tally::{Tally, count};

/// What such a peer does.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Lines that are no JSON.
    Rubbish,
    /// A line that is longer than any may be.
    Endless,
    /// The beginning of a request.
    Half,
    /// Replies that nobody has asked for.
    Replies,
    /// Brackets within brackets.
    Nested,
    /// A batch of rubbish, and one of too many.
    Batches,
    /// Much is asked for, and nothing read.
    Deaf,
    /// More requests than may be worked on at once; then the peer is gone.
    Flood,
    /// Subscriptions, more than there may be, and nothing read.
    Subscriptions,
    /// Nothing at all.
    Silence,
}

impl Harm {
    const ALL: [Self; 10] = [
        Self::Rubbish,
        Self::Endless,
        Self::Half,
        Self::Replies,
        Self::Nested,
        Self::Batches,
        Self::Deaf,
        Self::Flood,
        Self::Subscriptions,
        Self::Silence,
    ];

    /// What is sent, again and again.
    fn bytes(self, n: u64) -> String {
        match self {
            Self::Rubbish => "this is no JSON\n".repeat(1 + n as usize % 4),
            Self::Endless => "x".repeat(300_000),
            Self::Half => request(n, "later", "[1,").trim_end_matches("}\n").to_owned(),
            Self::Replies => format!("{{\"jsonrpc\":\"2.0\",\"id\":{n},\"result\":{n}}}\n"),
            Self::Nested => format!("{}\n", "[".repeat(50_000)),
            Self::Batches if n.is_multiple_of(2) => format!("[{}]\n", vec!["1"; 90].join(",")),
            Self::Batches => format!("[{}]\n", vec!["{}"; 200].join(",")),
            Self::Deaf => (0..20).map(|n| request(n, "long", "[100000]")).collect(),
            Self::Flood => (0..500).map(|n| request(n, "later", "[1,1000]")).collect(),
            Self::Subscriptions => (0..200).map(|n| request(n, "count", "[0,1000000]")).collect(),
            Self::Silence => String::new(),
        }
    }

    /// Whether it reads what it is sent. One that does not finds out that it was sent away when it writes.
    const fn reads(self) -> bool {
        !matches!(self, Self::Deaf | Self::Subscriptions)
    }
}

fn request(id: u64, method: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

/// Comes again and again.
pub(crate) async fn come(
    url: String,
    mut random: Random,
    until: Instant,
    tally: Arc<Tally>,
) -> Result<(), String> {
    let place = url.trim_start_matches("tcp://").to_owned();
    while Instant::now() < until {
        let harm = Harm::ALL[random.below(Harm::ALL.len() as u64) as usize];
        let stream = TcpStream::connect(&place).await.map_err(|error| error.to_string())?;
        count(&tally.visits);
        let stay = until.min(Instant::now() + Duration::from_millis(50 + random.below(3_000)));
        match tokio::time::timeout_at(stay, visit(stream, harm, &mut random)).await {
            // It has had enough itself.
            Err(_) => {}
            Ok(_) => count(&tally.sent_away),
        }
    }
    Ok(())
}

/// Does harm until the server ends the connection.
async fn visit(mut stream: TcpStream, harm: Harm, random: &mut Random) -> io::Result<()> {
    let mut answers = vec![0; 1 << 16];
    for n in 0.. {
        stream.write_all(harm.bytes(n).as_bytes()).await?;
        let pause = Duration::from_millis(random.below(30));
        if !harm.reads() {
            sleep(pause).await;
        } else if let Ok(read) = timeout(pause, stream.read(&mut answers)).await
            && read? == 0
        {
            break;
        }
    }
    Ok(())
}
