//! Where servers listen, and several at once.

use rpc::{
    BindError, ConnectError, Connector, Endpoint, Listen, Server, framing::NetstringFramer, rpc_service,
};

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

async fn echoes(connector: Connector) -> String {
    let session = connector.connect().await.expect("somebody listens");
    EchoClient::from(session).echo("hello").await.expect("it is answered")
}

#[tokio::test]
async fn a_server_listens_at_several_places_each_with_a_framing_of_its_own() {
    let server =
        Server::builder().service(EchoServer::new(Plain)).bind("tcp://127.0.0.1:0").await.expect("free");
    let listen = Listen::at("memory:several places").expect("a URL").framer(NetstringFramer::new());
    let server =
        server.and_bind(listen).await.expect("free").and_bind("tcp://127.0.0.1:0").await.expect("free");
    let urls: Vec<_> = server.endpoints().iter().map(Endpoint::to_string).collect();
    assert_eq!(urls.len(), 3);
    let running = server.start();

    for (url, netstrings) in [(&urls[0], false), (&urls[1], true), (&urls[2], false)] {
        let mut connector = Connector::new(url).expect("a URL");
        if netstrings {
            connector = connector.framer(NetstringFramer::new());
        }
        assert_eq!(echoes(connector).await, "hello", "{url}");
    }
    running.shutdown().await;
    for url in urls {
        let error = rpc::connect(&url).await.expect_err("nobody listens any more");
        assert!(matches!(error, ConnectError::Io { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_name_in_memory_has_one_listener_and_is_free_again_behind_it() {
    let url = "memory:one listener";
    let error = rpc::connect(url).await.expect_err("nobody listens");
    assert_eq!(
        rpc::chain(&error).to_string(),
        "cannot connect to memory:one listener: nobody in this process listens there"
    );
    for _ in 0..2 {
        let server = Server::builder().service(EchoServer::new(Plain)).bind(url).await.expect("it is free");
        let error = Server::builder().service(()).bind(url).await.expect_err("it is taken");
        assert_eq!(
            rpc::chain(&error).to_string(),
            "cannot listen at memory:one listener: somebody listens there already"
        );
        let running = server.start();
        assert_eq!(echoes(Connector::new(url).expect("a URL")).await, "hello");
        running.shutdown().await;
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_url_is_said_where_it_is_given() {
    let error = Server::builder().service(()).bind("tcp://127.0.0.1").await.expect_err("it has no port");
    assert!(matches!(error, BindError::Endpoint(_)), "{error:?}");
    let endpoint: Endpoint = "tcp://127.0.0.1:0".parse().expect("a URL");
    drop(Server::builder().service(()).bind(&endpoint).await.expect("an endpoint is one, too"));
    let error = rpc::connect("tcp://127.0.0.1").await.expect_err("it has no port");
    assert!(matches!(error, ConnectError::Endpoint(_)), "{error:?}");
}
