//! A program that serves over its own standard input and output.

use std::process::{ExitStatus, Stdio};

use rpc_tests::{Raw, soon};
use tokio::{
    io::{self, AsyncBufReadExt as _, BufReader, Join},
    process::{Child, ChildStdin, ChildStdout},
};

use super::{program, program_with};

const ECHO: &str = r#"{"jsonrpc":"2.0","id":1,"method":"echo","params":[1]}"#;
const ECHOED: &str = r#"{"jsonrpc":"2.0","id":1,"result":[1]}"#;

/// Starts one, with pipes that are spoken to by hand.
fn started(mut command: tokio::process::Command) -> (Child, Raw<Join<ChildStdout, ChildStdin>>) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let pipes = io::join(child.stdout.take().expect("a pipe"), child.stdin.take().expect("a pipe"));
    (child, Raw::on(pipes))
}

async fn ended(child: &mut Child) -> ExitStatus {
    soon(child.wait()).await.expect("it is known")
}

#[tokio::test]
async fn it_ends_when_its_input_does() {
    for name in ["serve", "connect"] {
        let (mut child, mut peer) = started(program(name));
        assert_eq!(peer.ask(ECHO).await, ECHOED, "{name}");
        let (output, input) = peer.into_inner().into_inner();
        drop(input);
        assert!(ended(&mut child).await.success(), "{name}");
        let mut rest = BufReader::new(output).lines();
        assert_eq!(rest.next_line().await.expect("it is read"), None, "{name}");
    }
}

#[tokio::test]
async fn it_ends_when_something_else_is_spoken() {
    for name in ["serve", "connect", "serve-headers"] {
        let (mut child, mut peer) = started(program(name));
        peer.write(format!("POST /a:b HTTP/1.1\r\nContent-Length: {}\r\n\r\n{ECHO}\n", ECHO.len())).await;
        assert!(ended(&mut child).await.success(), "{name}");
        let told = peer.rest().await;
        assert_eq!(told.first().map(String::as_str), Some("HTTP/1.1 400 Bad Request\r"), "{name}");
        assert!(!told.iter().any(|line| line.contains("jsonrpc")), "{name}: {told:?}");
    }
}

#[tokio::test]
async fn it_ends_although_its_input_goes_on() {
    for name in ["serve", "connect"] {
        let (mut child, mut peer) = started(program(name));
        let answer = peer.ask(r#"{"jsonrpc":"2.0","id":2,"method":"finish"}"#).await;
        assert_eq!(answer, r#"{"jsonrpc":"2.0","id":2,"result":"finished"}"#, "{name}");
        assert!(ended(&mut child).await.success(), "{name}");
        peer.expect_end().await;
    }
}

#[tokio::test]
async fn it_ends_when_nobody_reads_its_output() {
    let (mut child, mut peer) = started(program("serve"));
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    let (output, input) = peer.into_inner().into_inner();
    drop(output);
    let mut deaf = Raw::on(io::join(io::empty(), input));
    deaf.send(ECHO).await;
    assert!(ended(&mut child).await.success());
}

#[tokio::test]
async fn everything_that_was_asked_is_answered_before_it_ends_and_files_will_do() {
    let directory = rpc_tests::Scratch::new();
    let (requests, answers) = (directory.path("requests"), directory.path("answers"));
    let text: String = (0..1_000)
        .map(|id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"later\",\"params\":[{id}]}}\n"))
        .collect();
    std::fs::write(&requests, text).expect("it is written");
    let mut command = program("serve");
    command.stdin(std::fs::File::open(&requests).expect("it is there"));
    command.stdout(std::fs::File::create(&answers).expect("it can be made"));
    let mut child = command.kill_on_drop(true).spawn().expect("it starts");
    assert!(ended(&mut child).await.success());
    let answered = std::fs::read_to_string(&answers).expect("it is there");
    let mut answered: Vec<&str> = answered.lines().collect();
    let mut expected: Vec<String> =
        (0..1_000).map(|id| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":[{id}]}}"#)).collect();
    answered.sort_unstable();
    expected.sort_unstable();
    assert_eq!(answered, expected);
}

#[tokio::test]
async fn it_is_taken_once_in_a_process() {
    let (mut child, mut peer) = started(program("take-twice"));
    let why = "standard input and output are a connection already, or were one";
    peer.expect(&format!("cannot listen at stdio:: {why}")).await;
    peer.expect(&format!("cannot connect to stdio:: {why}")).await;
    assert!(ended(&mut child).await.success());
}

/// Whoever shares them (a terminal, a log) would find that its own writes fail.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn its_descriptors_go_on_blocking() {
    let (child, mut peer) = started(program("serve"));
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    for descriptor in 0..=1 {
        let path = format!("/proc/{}/fdinfo/{descriptor}", child.id().expect("it runs"));
        let info = std::fs::read_to_string(path).expect("it runs");
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("flags");
        let flags = u32::from_str_radix(flags.trim(), 8).expect("an octal number");
        assert_eq!(flags & 0o4000, 0, "O_NONBLOCK of {descriptor}");
    }
}

/// What somebody else has done to them.
#[cfg(unix)]
#[tokio::test]
async fn descriptors_that_do_not_block_and_are_sockets_will_do() {
    use std::os::fd::OwnedFd;

    use tokio::net::UnixStream;

    let (here, there) = UnixStream::pair().expect("a pair");
    let there: OwnedFd = there.into_std().expect("a socket").into();
    let mut command = program("serve");
    command.stdin(there.try_clone().expect("a descriptor")).stdout(there).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    // It has its ends to itself now.
    drop(command);

    let mut peer = Raw::on(here);
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    let long = ECHO.replace("[1]", &format!("[\"{}\"]", "x".repeat(4 << 20)));
    assert_eq!(peer.ask(&long).await.len(), ECHOED.len() - 1 + 2 + (4 << 20));
    peer.finish().await;
    assert!(ended(&mut child).await.success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_that_listens_elsewhere_too_goes_on() {
    let directory = rpc_tests::Scratch::new();
    let url = format!("unix:{}", directory.path("socket").display());
    let (mut child, mut peer) = started(program_with("serve-there-too", &url));
    assert_eq!(peer.ask(ECHO).await, ECHOED);
    drop(peer);
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let line = soon(told.next_line()).await.expect("it is read");
    assert_eq!(line.as_deref(), Some("a session has ended: closed by the peer"));
    for n in 0..3 {
        let session = rpc::connect(&url).await.expect("it listens");
        assert_eq!(soon(session.call::<(i32,)>("echo", (n,))).await.expect("it answers"), (n,));
        soon(session.close()).await;
    }
    assert!(child.try_wait().expect("it is known").is_none(), "it runs");
}
