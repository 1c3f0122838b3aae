//! Programs that are talked to over standard input and output, some of them badly behaved. The first argument says which one it is.

use std::{
    env,
    error::Error,
    future::pending,
    io::{self, BufRead as _, Write as _},
    process::{self, Command, ExitCode, Stdio},
};

use rpc::{
    CloseReason, Connector, Context, ErrorObject, Hooks, Limits, Params, Router, Server, ServerBuilder,
    Session, framing::ContentLengthFramer,
};
use rpc_tests::echo;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let program = arguments.next().unwrap_or_default();
    let argument = arguments.next().unwrap_or_default();
    match program.as_str() {
        "serve" => serve(server()).await?,
        "serve-headers" => serve(server().framer(ContentLengthFramer::new())).await?,
        // Listens at one more place.
        "serve-there-too" => {
            let server = server().hooks(Reporting).bind("stdio:").await?.and_bind(&argument).await?;
            server.start().closed().await;
        }
        // Connects to standard input and output, rather than listening there.
        "connect" => {
            let connector = Connector::new("stdio:")?.limits(limits()).service(methods());
            connector.connect().await?.closed().await;
        }
        // Passes on what comes, both ways, until either side has ended.
        "pass-on" => {
            let (mut back, mut forth) = TcpStream::connect(&argument).await?.into_split();
            tokio::spawn(async move {
                // Where it fails, the other direction ends.
                let _passed = tokio::io::copy(&mut tokio::io::stdin(), &mut forth).await;
                forth.shutdown().await
            });
            tokio::io::copy(&mut back, &mut tokio::io::stdout()).await?;
            // A thread waits for input, and is not waited for.
            process::exit(0);
        }
        "take-twice" => {
            let _first = server().bind("stdio:").await?;
            println!("{}", rpc::chain(&server().bind("stdio:").await.expect_err("it is taken")));
            println!("{}", rpc::chain(&rpc::connect("stdio:").await.expect_err("it is taken")));
        }
        "take-again" => {
            drop(server().bind("stdio:").await?);
            serve(server()).await?;
        }
        "print-first" => {
            // At once: it may be enough for whoever reads it.
            io::stdout().write_all(format!("{argument}\n").as_bytes())?;
            serve(server()).await?;
        }
        "exit" => return Ok(ExitCode::from(argument.parse::<u8>()?)),
        // Answers the first request, and ends.
        "answer-one" => {
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            let request: Value = serde_json::from_str(&line)?;
            println!("{}", json!({"jsonrpc": "2.0", "id": request["id"], "result": "answered"}));
            return Ok(ExitCode::from(3));
        }
        "ignore-end" => {
            serve(server()).await?;
            pending::<()>().await;
        }
        "read-nothing" => pending::<()>().await,
        #[cfg(unix)]
        "ignore-signal" => {
            use tokio::signal::unix::{SignalKind, signal};

            let mut told = signal(SignalKind::terminate())?;
            serve(server()).await?;
            loop {
                told.recv().await;
                eprintln!("told to end");
            }
        }
        // When its input has ended, it writes more than a pipe holds, and only then ends.
        "talk-at-end" => {
            serve(server()).await?;
            io::stdout().write_all(&vec![b' '; 1 << 20])?;
        }
        // Leaves a process behind that has its output.
        "leave-an-heir" => {
            Command::new(env::current_exe()?).arg("ignore-everything").stdin(Stdio::inherit()).spawn()?;
            return Ok(ExitCode::from(5));
        }
        "ignore-everything" => drop(io::stdin().lock().lines().map_while(Result::ok).last()),
        other => return Err(format!("no such program: {other:?}").into()),
    }
    Ok(ExitCode::SUCCESS)
}

async fn serve(server: ServerBuilder) -> Result<(), rpc::BindError> {
    server.bind("stdio:").await?.start().closed().await;
    Ok(())
}

/// Says on standard error that a session has ended.
struct Reporting;

impl Hooks for Reporting {
    fn closed(&self, _: &Session, reason: &CloseReason) {
        eprintln!("a session has ended: {}", rpc::chain(reason));
    }
}

fn server() -> ServerBuilder {
    Server::builder().limits(limits()).service(methods())
}

fn limits() -> Limits {
    let mut limits = Limits::unlimited();
    limits.frame_size = 20 << 20;
    limits
}

/// `echo` and `later`; `call_back`, which asks the caller; `exit`; and `finish`, which closes the session.
fn methods() -> Router {
    echo()
        .method("call_back", async |params: Params, cx: Context| {
            let answer = cx.session().call::<Value>("echo", params.parse::<Value>()?).await;
            answer.map_err(|error| ErrorObject::new(1, error.to_string()))
        })
        .method("exit", async |params: Params, _: Context| -> Result<(), ErrorObject> {
            let (code,) = params.parse()?;
            process::exit(code)
        })
        .method("finish", async |_: Params, cx: Context| {
            cx.close_after_reply();
            Ok::<_, ErrorObject>("finished")
        })
        .method("say", async |params: Params, _: Context| {
            let (line,): (String,) = params.parse()?;
            eprintln!("{line}");
            Ok::<_, ErrorObject>(())
        })
}
