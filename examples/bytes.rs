//! Bytes in, bytes out: services without a server. For messages that come some other way: the event of a lambda, a message queue, a file.
//!
//! `cargo run --example bytes`

use std::{error::Error, sync::Arc};

use rpc::{Context, Dispatcher, Endpoint, Extensions, Limits, rpc_service};
use tokio::sync::{Semaphore, mpsc, oneshot};

#[rpc_service]
trait Orders {
    /// Gives the number of the order.
    async fn place(&self, #[rpc(context)] cx: &Context, item: &str, count: u32) -> String;
}

struct Shop;

impl Orders for Shop {
    async fn place(&self, cx: &Context, item: &str, count: u32) -> String {
        // What came with the message. There is no session to call back on.
        let customer = cx.extensions().get::<Customer>();
        format!(
            "{count} × {item} for {}",
            customer.map_or("nobody".to_owned(), |customer| customer.0.clone())
        )
    }
}

struct Customer(String);

/// What a queue delivers: a message, what it says of the sender, and where the answer goes.
struct Delivery {
    body: Vec<u8>,
    sender: String,
    answer: oneshot::Sender<Option<Vec<u8>>>,
}

/// A lambda is this one function. The dispatcher is made once, when the process starts: it holds the services, and its clones are the same.
async fn handle(dispatcher: &Dispatcher, body: &[u8], sender: String) -> Option<Vec<u8>> {
    let extensions = Extensions::default();
    extensions.insert(Customer(sender));
    // An answer is due, or none is: a notification. Errors are answers, too, also where the bytes are no JSON.
    dispatcher.dispatch_with(body, extensions).await.map(Vec::from)
}

/// A consumer of a queue works on several messages at once. How many is for it to say: a dispatcher has no queue of its own.
async fn consume(dispatcher: Dispatcher, mut queue: mpsc::Receiver<Delivery>) {
    let at_once = Arc::new(Semaphore::new(8));
    while let Some(Delivery { body, sender, answer }) = queue.recv().await {
        let Ok(place) = Arc::clone(&at_once).acquire_owned().await else { return };
        let dispatcher = dispatcher.clone();
        tokio::spawn(async move {
            // Whoever asked may be gone.
            drop(answer.send(handle(&dispatcher, &body, sender).await));
            drop(place);
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The limits are those of one message: its size, its length as a batch, the time that a handler may take.
    let limits = Limits::server().with_frame_size(100_000);
    let dispatcher = Dispatcher::builder().service(OrdersServer::new(Shop)).limits(limits).build()?;

    let call = br#"{"jsonrpc":"2.0","id":1,"method":"place","params":{"item":"tea","count":2}}"#;
    let answer = handle(&dispatcher, call, "Ann".to_owned()).await.ok_or("no answer")?;
    println!("the lambda answers {}", String::from_utf8_lossy(&answer));
    assert_eq!(answer, r#"{"jsonrpc":"2.0","id":1,"result":"2 × tea for Ann"}"#.as_bytes());

    let (queue, deliveries) = mpsc::channel(16);
    let consumer = tokio::spawn(consume(dispatcher.clone(), deliveries));
    for (sender, body) in [
        (
            "Bob",
            r#"[{"jsonrpc":"2.0","id":"a","method":"place","params":["milk",1]},{"jsonrpc":"2.0","id":"b","method":"pay"}]"#,
        ),
        ("Eve", "no JSON at all"),
        ("Bob", r#"{"jsonrpc":"2.0","method":"place","params":["bread",1]}"#),
    ] {
        let (answer, answered) = oneshot::channel();
        let delivery = Delivery { body: body.into(), sender: sender.to_owned(), answer };
        queue.send(delivery).await?;
        match answered.await? {
            Some(answer) => println!("{sender} is answered {}", String::from_utf8_lossy(&answer)),
            None => println!("{sender} asked for no answer"),
        }
    }
    drop(queue);
    consumer.await?;

    // Whoever knows the sender can keep an account: what a message has cost is told beside the answer.
    let sender: Endpoint = "tcp://192.0.2.7:50001".parse()?;
    let exchange = dispatcher.exchange(b"no JSON at all", sender, Extensions::default()).await;
    println!("that cost {:.0}", exchange.cost);
    assert_eq!(exchange.cost.round(), Limits::server().cost_of_unreadable);

    // The typed client works over it: everything is written and read as it would be on the wire.
    let orders = OrdersClient::from(dispatcher);
    assert_eq!(orders.place("salt", 3).await?, "3 × salt for nobody");
    Ok(())
}
