//! Who may connect.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rpc::{Listen, Server};
use rpc_tests::Scratch;

use super::{answers, runtime, url, why};

fn mode_of(path: &Path) -> Option<u32> {
    Some(fs::symlink_metadata(path).ok()?.permissions().mode() & 0o7777)
}

async fn with_mode(path: &Path, mode: u32) -> Result<Server, rpc::BindError> {
    Server::builder()
        .service(rpc_tests::echo())
        .bind(Listen::at(&url(path)).expect("a URL").unix_mode(mode))
        .await
}

#[tokio::test]
async fn the_permissions_are_those_that_were_said() {
    let directory = Scratch::new();
    let path = directory.path("socket");
    for mode in [0o600, 0o660, 0o666, 0o777] {
        let server = with_mode(&path, mode).await.expect("it is free").start();
        assert_eq!(mode_of(&path), Some(mode));
        answers(&url(&path)).await;
        server.shutdown().await;
    }
    let error = why(with_mode(&path, 0o1600).await.expect_err("there is no such permission"));
    assert_eq!(error.1, "the permissions of a socket are between 0o000 and 0o777, not 0o1600");
    assert!(!path.exists());
}

#[test]
fn nobody_can_connect_before_they_are_set() {
    let directory = Scratch::new();
    let runtime = runtime();
    for round in 0..300 {
        let path = directory.path(&format!("socket-{round}"));
        thread::scope(|threads| {
            let hurried = threads.spawn(|| {
                let begun = Instant::now();
                while UnixStream::connect(&path).is_err() {
                    assert!(begun.elapsed() < Duration::from_secs(10), "it never got there");
                }
                mode_of(&path)
            });
            let server = runtime.block_on(with_mode(&path, 0o777)).expect("it is free");
            assert_eq!(hurried.join().expect("no panic"), Some(0o777), "it was too early");
            drop(server);
        });
    }
}
