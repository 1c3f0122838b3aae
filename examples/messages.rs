//! Messages without replies, typed in and typed out: two nodes that speak Bitcoin's peer-to-peer protocol with each other.
//!
//! Nobody answers anybody here: a `pong` is a message of its own. Limits, costs, timeouts and endings are those of every session.

use rpc::{
    Connector, Message, MessageSession, Server,
    framing::{BitcoinFramer, BitcoinMessage, FrameError},
};
use tokio::sync::mpsc;

/// What the nodes say, as far as they understand it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Verack,
    Ping(u64),
    Pong(u64),
    Other(String),
}

impl Message for Node {
    fn read(frame: &[u8]) -> Result<Self, FrameError> {
        let BitcoinMessage { command, payload } = BitcoinMessage::parse(frame)?;
        let nonce = || {
            let bytes = payload.try_into();
            bytes.map(u64::from_le_bytes).map_err(|_| {
                FrameError::Invalid(format!(
                    "the nonce of a {command} has 8 bytes, and not {}",
                    payload.len()
                ))
            })
        };
        Ok(match command {
            "verack" => Self::Verack,
            "ping" => Self::Ping(nonce()?),
            "pong" => Self::Pong(nonce()?),
            // Messages that were not asked for come between the others.
            unknown => Self::Other(unknown.to_owned()),
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let nonce;
        let (command, payload) = match self {
            Self::Verack => ("verack", &[][..]),
            Self::Ping(n) | Self::Pong(n) => {
                nonce = n.to_le_bytes();
                (if matches!(self, Self::Ping(_)) { "ping" } else { "pong" }, &nonce[..])
            }
            Self::Other(command) => (&**command, &[][..]),
        };
        BitcoinMessage { command, payload }.write(out);
    }
}

async fn answer(session: MessageSession<Node>, message: Node) {
    println!("{} says {message:?}", session.session().peer());
    if let Node::Ping(nonce) = message {
        // Where the peer is gone, it is not waited for.
        drop(session.send(&Node::Pong(nonce)).await);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let regtest = BitcoinFramer::new(BitcoinFramer::REGTEST);
    let server = Server::builder().framer(regtest.clone()).messages(answer).bind("tcp://127.0.0.1:0").await?;
    let url = server.endpoint().to_string();
    let running = server.start();

    let (heard, mut hears) = mpsc::channel(16);
    let node = Connector::new(&url)?.framer(regtest);
    let node = node.connect_messages(move |_, message: Node| {
        let heard = heard.clone();
        async move { drop(heard.send(message).await) }
    });
    let node = node.await?;
    for message in [Node::Verack, Node::Other("sendheaders".into()), Node::Ping(7)] {
        node.send(&message).await?;
    }
    assert_eq!(hears.recv().await, Some(Node::Pong(7)));
    println!(
        "and the ping was answered; {} bytes were sent for it all",
        node.session().statistics().bytes_sent
    );

    running.shutdown().await;
    println!("the session has ended: {}", node.session().closed().await);
    Ok(())
}
