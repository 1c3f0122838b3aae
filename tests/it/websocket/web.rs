//! Pages in a browser: who may open a WebSocket.

use rpc::{Limits, Listen, Server, ServerHandle, WebAccess, transport::websocket::WebSocketServer};
use rpc_tests::{
    echo, soon,
    websocket::{WsPeer, request},
};

async fn listening(access: WebAccess) -> ServerHandle {
    let listen =
        Listen::at("ws://127.0.0.1:0").expect("a URL").websocket(WebSocketServer::new().access(access));
    let server = Server::builder().service(echo()).limits(Limits::server()).bind(listen).await;
    server.expect("it is free").start()
}

/// The status that a page gets, and what it is told.
async fn opened_by(server: &ServerHandle, host: &str, origin: &str) -> (String, String) {
    let mut peer = WsPeer::connect(server.endpoint()).await;
    let more = if origin.is_empty() { String::new() } else { format!("Origin: {origin}\r\n") };
    peer.write(request(host, "/", &more)).await;
    let head = soon(peer.head()).await;
    let status = head.get(9..12).expect("a status").to_owned();
    let text = if status == "101" { String::new() } else { soon(peer.rest()).await };
    (status, text)
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_is_allowed() {
    let server = listening(WebAccess::new()).await;
    let own = server.endpoint().socket_addr().expect("an address").to_string();
    for origin in ["", &format!("http://{own}")] {
        assert_eq!(opened_by(&server, &own, origin).await.0, "101", "{origin}");
    }
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        let (status, text) = opened_by(&server, &own, origin).await;
        assert_eq!(status, "403");
        assert_eq!(text, format!("pages of the origin `{origin}` may not come in\n"));
    }
    let server = listening(WebAccess::new().allow_origin("https://wallet.example")).await;
    assert_eq!(opened_by(&server, &own, "https://wallet.example").await.0, "101");
    assert_eq!(opened_by(&server, &own, "https://evil.example").await.0, "403");
}

#[tokio::test]
async fn a_page_that_came_by_a_rebound_host_name_is_refused() {
    let server = listening(WebAccess::new()).await;
    let port = server.endpoint().port().expect("a port");
    let rebound = format!("evil.example:{port}");
    // The browser takes the page and the server for one: only the name tells.
    let (status, text) = opened_by(&server, &rebound, &format!("http://{rebound}")).await;
    assert_eq!(status, "403");
    assert_eq!(text, format!("the host `{rebound}` is not one of this server's names\n"));
    for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        assert_eq!(opened_by(&server, &host, &format!("http://{host}")).await.0, "101", "{host}");
    }
    let server = listening(WebAccess::new().allow_host("node.example")).await;
    assert_eq!(opened_by(&server, "node.example", "").await.0, "101");
    assert_eq!(opened_by(&server, "evil.example", "").await.0, "403");
}
