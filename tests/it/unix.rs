//! Unix sockets: who is there, who may connect, and whose the file is.

mod file;
mod mode;

use std::{path::Path, time::Duration};

use rpc::{
    BindError, ConnectError, Connector, Context, ErrorObject, Limits, Listen, Params, Router, Server,
    ServerHandle, transport::unix::PeerCredentials,
};
use rpc_tests::{Child, Scratch, echo, is_child, soon};
use serde_json::{Value, json};

fn url(path: &Path) -> String {
    format!("unix:{}", path.display())
}

/// A server of `echo` and of `who`, which gives the credentials of whoever asks.
async fn listening(url: &str) -> ServerHandle {
    let who = Router::new().method("who", async |_: Params, cx: Context| {
        let peer = cx.extensions().get::<PeerCredentials>();
        let peer = peer.ok_or_else(|| ErrorObject::new(1, "the system does not say who is there"))?;
        Ok::<_, ErrorObject>((peer.uid, peer.gid, peer.pid))
    });
    let server = Server::builder().service(echo()).service(who).bind(url).await;
    server.expect("the place is free").start()
}

async fn answers(url: &str) {
    let session = rpc::connect(url).await.expect("somebody listens");
    assert_eq!(soon(session.call::<Value>("echo", (1,))).await.expect("it answers"), json!([1]));
    assert_eq!(session.peer().to_string(), url);
}

/// For what is not a test of tokio's.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn why(error: BindError) -> (std::io::ErrorKind, String) {
    match error {
        BindError::Io { source, .. } => (source.kind(), source.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_path_is_listened_at_and_connected_to() {
    let directory = Scratch::new();
    let url = url(&directory.path("socket"));
    let server = listening(&url).await;
    assert_eq!(server.endpoint().to_string(), url);
    answers(&url).await;
    answers(&url).await;
    soon(server.shutdown()).await;
    let error = rpc::connect(&url).await.expect_err("nobody is there");
    assert_eq!(
        rpc::chain(&error).to_string(),
        format!("cannot connect to {url}: No such file or directory (os error 2)")
    );
}

#[test]
fn a_relative_path_is_where_it_was_when_it_was_bound() {
    Child::run("unix::a_process_that_moves");
}

#[test]
#[ignore = "run as a process of its own by the test above"]
fn a_process_that_moves() {
    if !is_child() {
        return;
    }
    let directory = Scratch::new();
    std::env::set_current_dir(directory.directory()).expect("it is there");
    runtime().block_on(async {
        let server = listening("unix:socket").await;
        answers("unix:socket").await;
        std::env::set_current_dir("/").expect("it is there");
        assert!(directory.path("socket").exists());
        soon(server.shutdown()).await;
        assert!(!directory.path("socket").exists());
    });
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_without_a_file_is_listened_at_and_free_again_behind_that() {
    let url = format!("unix:@rpc-tests-{}", std::process::id());
    for _ in 0..2 {
        let server = listening(&url).await;
        answers(&url).await;
        let taken = why(Server::builder().service(()).bind(&url).await.expect_err("it is taken"));
        assert_eq!(taken, (std::io::ErrorKind::AddrInUse, "another server listens there".to_owned()));
        soon(server.shutdown()).await;
        rpc::connect(&url).await.expect_err("nobody is there");
    }
}

#[tokio::test]
async fn each_side_knows_who_the_other_one_is() {
    use std::os::unix::fs::MetadataExt as _;

    let directory = Scratch::new();
    let url = url(&directory.path("socket"));
    let server = listening(&url).await;
    let session = rpc::connect(&url).await.expect("somebody listens");

    let ours = std::fs::metadata(directory.directory()).expect("it is there");
    let pid = std::process::id().cast_signed();
    let told: (u32, u32, Option<i32>) = soon(session.call("who", ())).await.expect("it answers");
    assert_eq!((told.0, told.1), (ours.uid(), ours.gid()));
    let server_is = session.extensions().get::<PeerCredentials>().expect("the system says it");
    assert_eq!((server_is.uid, server_is.gid), (ours.uid(), ours.gid()));
    if cfg!(target_os = "linux") {
        assert_eq!((told.2, server_is.pid), (Some(pid), Some(pid)));
    }
    soon(server.shutdown()).await;
}

#[tokio::test]
async fn a_path_that_is_too_long_is_refused_with_the_limit() {
    let limit = if cfg!(target_os = "linux") { 107 } else { 103 };
    let directory = Scratch::new();
    let longest = limit - directory.path("").as_os_str().len();
    let url_of = |length| url(&directory.path(&"x".repeat(length)));

    let server = listening(&url_of(longest)).await;
    answers(&url_of(longest)).await;
    soon(server.shutdown()).await;

    let told = format!("the path of a socket has at most {limit} bytes, and this one has {}", limit + 1);
    let error = Server::builder().service(()).bind(&url_of(longest + 1)).await.expect_err("it is too long");
    assert_eq!(why(error), (std::io::ErrorKind::InvalidInput, told.clone()));
    let error = rpc::connect(&url_of(longest + 1)).await.expect_err("it is too long");
    assert_eq!(rpc::chain(&error).to_string(), format!("cannot connect to {}: {told}", url_of(longest + 1)));
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let directory = Scratch::new();
    let missing = directory.path("missing");
    let error =
        Server::builder().service(()).bind(&url(&missing.join("socket"))).await.expect_err("it is missing");
    let told = format!("{}: No such file or directory (os error 2)", missing.display());
    assert_eq!(why(error), (std::io::ErrorKind::NotFound, told));
}

/// A listener with as many peers in its queue as fit, and those peers.
fn full(path: &Path) -> (tokio::net::UnixListener, Vec<std::os::unix::net::UnixStream>) {
    let socket = tokio::net::UnixSocket::new_stream().expect("a socket");
    socket.bind(path).expect("it is free");
    let listener = socket.listen(0).expect("it is bound");
    // The one that fits is more than none.
    let queue = vec![std::os::unix::net::UnixStream::connect(path).expect("it fits")];
    (listener, queue)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn whoever_connects_waits_for_a_place_in_the_queue() {
    let directory = Scratch::new();
    let (listener, _queue) = full(&directory.path("socket"));
    let url = url(&directory.path("socket"));
    let connecting = tokio::spawn(async move { rpc::connect(&url).await });
    // It is told to come again.
    let (_first, _) = soon(listener.accept()).await.expect("the first one");
    let (_second, _) = soon(listener.accept()).await.expect("the one that waited");
    soon(connecting).await.expect("no panic").expect("it was accepted");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn but_not_for_ever() {
    let directory = Scratch::new();
    let (_listener, _queue) = full(&directory.path("socket"));
    let mut limits = Limits::client();
    limits.handshake_timeout = Some(Duration::from_secs(5));
    let connector = Connector::new(&url(&directory.path("socket"))).expect("a URL").limits(limits);
    let error = connector.connect().await.expect_err("nobody accepts");
    assert!(matches!(error, ConnectError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn permissions_are_for_files() {
    for url in ["tcp://127.0.0.1:0", "memory:permissions", "unix:@rpc-tests-permissions"] {
        let listen = Listen::at(url).expect("a URL").unix_mode(0o600);
        let error = Server::builder().service(()).bind(listen).await.expect_err("it has none");
        let told = "there is no file whose permissions could be set, as `unix_mode` says";
        assert_eq!(why(error), (std::io::ErrorKind::InvalidInput, told.to_owned()));
    }
}
