//! How implementations are held, and which halves of a service there are.

use std::sync::Arc;

use rpc::{Server, Service, Session, rpc_service, testing};

#[rpc_service(auto_impl)]
trait Calc {
    async fn add(&self, a: i64, b: i64) -> i64;
    async fn greet(&self, name: &str) -> String;
    fn version(&self) -> &str;
    #[cfg(any())]
    fn absent(&self);
    async fn twice(&self, a: i64) -> i64 {
        self.add(a, a).await
    }
}

#[rpc_service]
trait Log {
    #[rpc(notification)]
    fn log(&self, line: &str);
    fn lines(&self) -> usize;
}

#[derive(Debug, Default)]
struct Both {
    lines: std::sync::atomic::AtomicUsize,
}

impl Calc for Both {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
    async fn greet(&self, name: &str) -> String {
        format!("Hello, {name}")
    }
    fn version(&self) -> &str {
        "1"
    }
    /// Not what the trait does by default: whoever points here must not do that either.
    async fn twice(&self, a: i64) -> i64 {
        -2 * a
    }
}

impl Log for Both {
    fn log(&self, _: &str) {
        self.lines.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
    fn lines(&self) -> usize {
        self.lines.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[tokio::test]
async fn one_value_may_serve_several_traits() {
    let both = Arc::new(Both::default());
    let server = Server::builder()
        .service(CalcServer::from(Arc::clone(&both)))
        .service(LogServer::from(Arc::clone(&both)))
        .build()
        .expect("different names");
    let (here, there) = rpc::transport::memory(1 << 16);
    drop(server.start().attach(there));
    let session = rpc::Connector::over(here).connect().await.expect("nothing can fail");
    assert_eq!(CalcClient::from(session.clone()).add(1, 2).await.expect("add"), 3);
    let log = LogClient::from(session);
    log.log("a line").await.expect("sent");
    assert_eq!(log.lines().await.expect("lines"), 1);
    assert_eq!(both.lines(), 1, "it is the same value");
}

async fn is_served(service: impl Service) {
    let (session, _peer) = testing::pair((), service);
    let calc = CalcClient::from(session);
    assert_eq!(calc.add(1, 2).await.expect("add"), 3);
    assert_eq!(calc.greet("Ann").await.expect("greet"), "Hello, Ann");
    assert_eq!(calc.version().await.expect("version"), "1");
    assert_eq!(calc.twice(2).await.expect("twice"), -4);
}

#[tokio::test]
async fn what_points_to_a_service_can_be_served_like_it() {
    static SHARED: Both = Both { lines: std::sync::atomic::AtomicUsize::new(0) };
    is_served(CalcServer::new(Both::default())).await;
    is_served(CalcServer::new(Arc::new(Both::default()))).await;
    is_served(CalcServer::new(Box::new(Both::default()))).await;
    is_served(CalcServer::new(&SHARED)).await;
    is_served(CalcServer::new(Arc::new(Box::new(&SHARED)))).await;
    is_served(CalcServer::from(Arc::new(Both::default()))).await;
}

#[tokio::test]
async fn a_trait_of_plain_functions_has_objects_that_can_be_served() {
    let objects: [Arc<dyn Log>; 2] = [Arc::new(Both::default()), Arc::new(Deaf)];
    for (object, lines) in objects.into_iter().zip([1, 0]) {
        let (session, _peer) = testing::pair((), LogServer::from(object));
        let log = LogClient::from(session);
        log.log("a line").await.expect("sent");
        assert_eq!(log.lines().await.expect("lines"), lines);
    }
}

struct Deaf;

impl Log for Deaf {
    fn log(&self, _: &str) {}
    fn lines(&self) -> usize {
        0
    }
}

/// One's own blanket implementation is possible where none is generated.
impl<T: Log> Log for Vec<T> {
    fn log(&self, line: &str) {
        self.iter().for_each(|log| log.log(line));
    }
    fn lines(&self) -> usize {
        self.iter().map(Log::lines).sum()
    }
}

#[rpc_service(auto_impl)]
trait Labelled<T: Send + Sync + 'static>: std::fmt::Debug
where
    Self: AsRef<str>,
{
    fn label(&self, of: T) -> String;
}

#[derive(Debug)]
struct Label(String);

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Labelled<u8> for Label {
    fn label(&self, of: u8) -> String {
        format!("{}{of}", self.0)
    }
}

#[tokio::test]
async fn pointers_have_to_be_what_the_trait_asks_for() {
    let object: Arc<dyn Labelled<u8>> = Arc::new(Label("x".into()));
    // `Arc<T>` is not `AsRef<str>`, so it is no `Labelled`; but it can be served.
    let (session, _peer) = testing::pair((), LabelledServer::from(object));
    let labelled: LabelledClient<u8> = session.into();
    assert_eq!(labelled.label(1).await.expect("label"), "x1");
    let reference: &'static Label = Box::leak(Box::new(Label("y".into())));
    let (session, _peer) = testing::pair((), LabelledServer::new(reference));
    let labelled: LabelledClient<u8> = session.into();
    assert_eq!(labelled.label(2).await.expect("label"), "y2");
}

mod caller {
    /// Of a service that somebody else serves.
    #[rpc::rpc_service(client, namespace = "far")]
    pub(super) trait Away {
        async fn add(&self, a: i64, b: i64) -> i64;
        #[deprecated]
        fn old(&self);
    }

    /// There is room for a server of this name.
    pub(super) struct AwayServer;
}

mod server {
    /// Whose callers have no Rust.
    #[rpc::rpc_service(server, namespace = "far")]
    pub(super) trait Away {
        async fn add(&self, a: i64, b: i64) -> i64;
    }

    /// There is room for a client of this name.
    pub(super) struct AwayClient;
}

struct Here;

impl server::Away for Here {
    async fn add(&self, a: i64, b: i64) -> i64 {
        a + b
    }
}

#[tokio::test]
async fn each_half_can_be_had_alone() {
    let _ = (caller::AwayServer, server::AwayClient);
    let (session, _peer): (Session, _) = testing::pair((), server::AwayServer::new(Here));
    assert_eq!(caller::AwayClient::from(session).add(1, 2).await.expect("add"), 3);
    assert_eq!(server::AwayServer::<Here>::METHODS[0], caller::AwayClient::<Session>::METHODS[0]);
}
