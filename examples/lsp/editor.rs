//! The editor: it starts the server, and has it look through a text.

use std::{
    env,
    error::Error,
    process,
    sync::{Arc, Mutex},
};

use rpc::{CallError, Cancellation, Connector, framing::ContentLengthFramer, transport::stdio::ChildProcess};

use crate::protocol::*;

pub(crate) async fn edit() -> Result<(), Box<dyn Error>> {
    let text = "a langauge server\nfor every langauge\nand every l";
    let editor = Arc::new(Editor { buffer: Mutex::new(text.into()) });
    // This program is both, for the sake of the example.
    let mut server = process::Command::new(env::current_exe()?);
    server.arg("serve");
    let session = Connector::spawn(server)
        .framer(ContentLengthFramer::new())
        .cancellation(Cancellation::LSP)
        .service(ProblemsServer::from(Arc::clone(&editor)))
        .service(WorkspaceServer::from(Arc::clone(&editor)))
        .connect()
        .await?;
    let lifecycle = LifecycleClient::from(session.clone());
    let documents = TextDocumentClient::from(session.clone());
    let commands = CommandsClient::from(session.clone());

    let root_uri = Some("file:///work".into());
    let server = lifecycle.initialize(InitializeParams { process_id: Some(process::id()), root_uri }).await?;
    println!("editor: the server can {:?}", server.capabilities);
    lifecycle.initialized(Empty {}).await?;

    // Opening a document gets no answer, but the server has something to say about it.
    let uri = "file:///home/ann/notes.md".to_owned();
    let document = DocumentId { uri: uri.clone() };
    let text_document =
        DocumentItem { uri: uri.clone(), language_id: "markdown".into(), version: 1, text: text.into() };
    documents.did_open(DidOpen { text_document }).await?;

    let at = |line, character| At { text_document: document.clone(), position: Position { line, character } };
    println!("editor: hover says {:?}", documents.hover(at(0, 4)).await?);
    println!("editor: completion says {:?}", documents.completion(at(2, 11)).await?);

    // The command makes the server ask for an edit, before it answers.
    let fix = Command { command: "speller.fixAll".into(), arguments: vec![uri] };
    println!("editor: {} fixed", commands.execute_command(fix).await?);
    let text = editor.buffer.lock().expect("nobody panics while holding it").clone();
    documents
        .did_change(DidChange { text_document: document.clone(), content_changes: vec![Change { text }] })
        .await?;
    println!("editor: hover says {:?}", documents.hover(at(0, 4)).await?);

    let unknown = Command { command: "speller.translate".into(), arguments: vec![] };
    match commands.execute_command(unknown).await {
        Err(CallError::Service(error @ CommandError::Unknown(_))) => println!("editor: {error}"),
        other => return Err(format!("unexpected: {other:?}").into()),
    }

    // The server ends the session, and then itself.
    let process = session.extensions().get::<ChildProcess>().ok_or("it was started")?;
    lifecycle.shutdown().await?;
    lifecycle.exit().await?;
    println!("editor: {}", session.closed().await);
    println!("editor: the server has ended with {}", process.exited().await?);
    Ok(())
}

struct Editor {
    buffer: Mutex<String>,
}

impl Problems for Editor {
    async fn publish_diagnostics(&self, params: Diagnostics) {
        println!("editor: {} problem(s) in {}", params.diagnostics.len(), params.uri);
        for Diagnostic { range: Range { start, .. }, message } in params.diagnostics {
            println!("        {}:{} {message}", start.line + 1, start.character + 1);
        }
    }
}

impl Workspace for Editor {
    async fn apply_edit(&self, ApplyEdit { label, edit }: ApplyEdit) -> ApplyEditResult {
        let mut buffer = self.buffer.lock().expect("nobody panics while holding it");
        let mut lines: Vec<String> = buffer.lines().map(str::to_owned).collect();
        // From the last to the first, so that none moves the next.
        for TextEdit { range, new_text } in edit.changes.into_values().flatten().rev() {
            lines[range.start.line].replace_range(range.start.character..range.end.character, &new_text);
        }
        *buffer = lines.join("\n");
        println!("editor: {} makes it {buffer:?}", label.as_deref().unwrap_or("an edit"));
        ApplyEditResult { applied: true }
    }
}
