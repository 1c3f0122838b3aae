//! The file that stands for a socket: whose it is, and when it goes.

use std::{
    fs,
    io::ErrorKind,
    os::unix::{
        fs::{FileTypeExt as _, symlink},
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
};

use rpc::{BindError, Server};
use rpc_tests::{Child, Scratch, echo, is_child, soon};

use super::{answers, full, listening, runtime, url, why};

async fn bound(path: &Path) -> Result<Server, BindError> {
    Server::builder().service(echo()).bind(&url(path)).await
}

/// A file that a server has left behind.
fn leave(path: &Path) {
    drop(UnixListener::bind(path).expect("it is free"));
    assert!(path.exists());
}

#[tokio::test]
async fn one_that_was_left_behind_is_replaced() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    leave(&path);
    let server = listening(&url(&path)).await;
    answers(&url(&path)).await;
    soon(server.shutdown()).await;
}

const SOCKET: &str = "RPC_TESTS_SOCKET";

#[tokio::test]
async fn the_server_of_a_process_that_was_killed_is_replaced() {
    let directory = Scratch::new();
    let url = url(&directory.path("socket"));
    let mut child = Child::start("unix::file::a_process_that_listens", (SOCKET, &url));
    child.printed("listening on");
    answers(&url).await;
    child.kill();
    let server = listening(&url).await;
    answers(&url).await;
    soon(server.shutdown()).await;
}

#[test]
#[ignore = "run as a process of its own by the test above"]
fn a_process_that_listens() {
    if !is_child() {
        return;
    }
    let url = std::env::var(SOCKET).expect("it is told where");
    runtime().block_on(async {
        let server = listening(&url).await;
        println!("listening on {}", server.endpoint());
        server.closed().await;
    });
}

#[tokio::test]
async fn that_of_a_live_server_is_not_touched() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    let server = listening(&url(&path)).await;
    for _ in 0..2 {
        let error = why(bound(&path).await.expect_err("it is taken"));
        assert_eq!(error, (ErrorKind::AddrInUse, "another server listens there".to_owned()));
        answers(&url(&path)).await;
    }
    soon(server.shutdown()).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_server_that_has_too_much_to_do_is_alive() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    let (_listener, _queue) = full(&path);
    let error = why(bound(&path).await.expect_err("it is taken"));
    assert_eq!(error, (ErrorKind::AddrInUse, "another server listens there".to_owned()));
    assert!(path.exists());
}

#[tokio::test]
async fn whatever_is_no_socket_is_not_touched() {
    let directory = Scratch::new();
    let (file, folder, link) = (directory.path("file"), directory.path("folder"), directory.path("link"));
    fs::write(&file, "precious").expect("it is written");
    fs::create_dir(&folder).expect("it is made");
    leave(&directory.path("behind the link"));
    symlink(directory.path("behind the link"), &link).expect("it is made");
    for (path, kind) in [(&file, "a file"), (&folder, "a directory"), (&link, "a symbolic link")] {
        let error = why(bound(path).await.expect_err("it is no socket"));
        let told = format!("{kind} is there, which is no socket: it is left alone");
        assert_eq!(error, (ErrorKind::AlreadyExists, told));
    }
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    assert!(folder.is_dir() && link.is_symlink() && directory.path("behind the link").exists());
}

#[tokio::test]
async fn a_socket_of_another_kind_is_not_touched() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    let _datagrams = UnixDatagram::bind(&path).expect("it is free");
    let (kind, told) = why(bound(&path).await.expect_err("it is taken"));
    assert_eq!(kind, ErrorKind::AddrInUse);
    assert!(
        told.starts_with("a socket is there, and whether somebody listens cannot be found out"),
        "{told}"
    );
    assert!(path.exists());
}

#[tokio::test]
async fn it_is_removed_when_nobody_listens_any_more() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    let server = listening(&url(&path)).await;
    let session = rpc::connect(&url(&path)).await.expect("somebody listens");
    soon(session.call::<(i32,)>("echo", (1,))).await.expect("it answers");
    soon(server.stop_listening()).await;
    assert!(!path.exists());
    soon(session.call::<(i32,)>("echo", (1,))).await.expect("sessions go on");
    soon(server.shutdown()).await;

    let never_started = bound(&path).await.expect("it is free");
    assert!(path.exists());
    drop(never_started);
    assert!(!path.exists());
}

#[tokio::test]
async fn it_is_not_removed_where_it_is_somebody_elses_by_now() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    let server = bound(&path).await.expect("it is free");
    fs::remove_file(&path).expect("it is there");
    let _others = UnixListener::bind(&path).expect("it is free");
    drop(server);
    assert!(fs::symlink_metadata(&path).expect("it is there").file_type().is_socket());
    drop(UnixListener::bind(&path).expect_err("it is there"));
    std::os::unix::net::UnixStream::connect(&path).expect("somebody listens");
}

/// Each finds the file of a server that has ended. None may take that of another one that has not begun to listen for it.
#[test]
fn of_many_that_start_at_the_same_time_one_gets_it() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    for _ in 0..50 {
        leave(&path);
        let start = std::sync::Barrier::new(8);
        let outcomes: Vec<_> = std::thread::scope(|threads| {
            let attempts: Vec<_> = (0..8)
                .map(|_| {
                    threads.spawn(|| {
                        let runtime = runtime();
                        start.wait();
                        // Kept until all have tried.
                        (runtime.block_on(bound(&path)), runtime)
                    })
                })
                .collect();
            attempts.into_iter().map(|attempt| attempt.join().expect("no panic")).collect()
        });
        let (listening, refused): (Vec<_>, Vec<_>) =
            outcomes.into_iter().partition(|(outcome, _)| outcome.is_ok());
        assert_eq!(listening.len(), 1);
        for (outcome, _) in refused {
            assert_eq!(why(outcome.expect_err("it was refused")).0, ErrorKind::AddrInUse);
        }
        assert!(path.exists());
    }
}
