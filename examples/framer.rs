//! A framing of your own: how one message is told from the next in a stream of bytes.
//!
//! Here messages end with a NUL byte, as those of Flash's `XMLSocket` did, whose JSON-RPC servers are still about.

use rpc::{
    Connector, Server,
    framing::{FrameError, Framed, Framer},
    rpc_service,
};

#[derive(Debug, Clone)]
struct NulFramer {
    limit: usize,
}

impl Framer for NulFramer {
    fn next(&mut self, unread: &[u8]) -> Result<Framed, FrameError> {
        match unread.iter().position(|&byte| byte == 0) {
            Some(end) => Ok(Framed::Frame { frame: 0..end, consumed: end + 1 }),
            None if unread.len() > self.limit => {
                Err(FrameError::TooLarge { size: unread.len(), limit: self.limit })
            }
            None => Ok(Framed::Incomplete { consumed: 0 }),
        }
    }

    fn finish(&self, out: &mut Vec<u8>, _start: usize) -> Result<(), FrameError> {
        out.push(0);
        Ok(())
    }

    fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }
}

#[rpc_service]
trait Echo {
    async fn echo(&self, text: &str) -> String;
}

struct Plain;

impl Echo for Plain {
    async fn echo(&self, text: &str) -> String {
        text.to_owned()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let framer = NulFramer { limit: 1_000_000 };
    let server = Server::builder().framer(framer.clone()).service(EchoServer::new(Plain));
    let server = server.bind("tcp://127.0.0.1:0").await?;
    let url = server.endpoint().to_string();
    let running = server.start();

    let session = Connector::new(&url)?.framer(framer).connect().await?;
    let said = EchoClient::from(session).echo("two\nlines").await?;
    println!("{said:?} came back, and on the wire a NUL stood behind it");
    assert_eq!(said, "two\nlines");

    running.shutdown().await;
    Ok(())
}
