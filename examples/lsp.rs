//! A slice of the Language Server Protocol: parameters that are one object, notifications that keep their order, and
//! a server that asks its client for something while the client waits for it. All on one connection, in LSP's framing.
//!
//! `cargo run --example lsp`. The methods are those of <https://microsoft.github.io/language-server-protocol/>.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard},
};

use rpc::{
    CallError, Connector, Context, RpcError, Session, framing::ContentLengthFramer, rpc_service, transport,
};
use serde::{Deserialize, Serialize};

// ---- What the server offers --------------------------------------------------------------------------------------

/// The methods without a namespace.
#[rpc_service(rename_all = "camelCase")]
trait Lifecycle {
    /// `whole`: the parameters are this object, and not a list with the object in it.
    async fn initialize(&self, #[rpc(whole)] params: InitializeParams) -> InitializeResult;

    #[rpc(notification)]
    async fn initialized(&self, #[rpc(context)] cx: &Context, #[rpc(whole)] params: Empty);

    async fn shutdown(&self);

    #[rpc(notification)]
    async fn exit(&self, #[rpc(context)] cx: &Context);
}

#[rpc_service(namespace = "textDocument", separator = "/", rename_all = "camelCase")]
trait TextDocument {
    /// `ordered`: however long one takes, the next waits for it. Edits that overtake each other are another text.
    #[rpc(notification, ordered)]
    async fn did_open(&self, #[rpc(context)] cx: &Context, #[rpc(whole)] params: DidOpen);

    #[rpc(notification, ordered)]
    async fn did_change(&self, #[rpc(context)] cx: &Context, #[rpc(whole)] params: DidChange);

    /// Also `ordered`, since its answer must be about the text as the client has it.
    #[rpc(ordered)]
    async fn hover(&self, #[rpc(whole)] params: At) -> Option<Hover>;

    #[rpc(ordered)]
    async fn completion(&self, #[rpc(whole)] params: At) -> Vec<CompletionItem>;
}

#[rpc_service(namespace = "workspace", separator = "/", rename_all = "camelCase")]
trait Commands {
    async fn execute_command(
        &self,
        #[rpc(context)] cx: &Context,
        #[rpc(whole)] params: Command,
    ) -> Result<u32, CommandError>;
}

// ---- What the editor offers --------------------------------------------------------------------------------------

/// In the same namespaces: a name belongs to the side that serves it.
#[rpc_service(namespace = "textDocument", separator = "/", rename_all = "camelCase")]
trait Problems {
    #[rpc(notification, ordered)]
    async fn publish_diagnostics(&self, #[rpc(whole)] params: Diagnostics);
}

#[rpc_service(namespace = "workspace", separator = "/", rename_all = "camelCase")]
trait Workspace {
    async fn apply_edit(&self, #[rpc(whole)] params: ApplyEdit) -> ApplyEditResult;
}

// ---- What travels ------------------------------------------------------------------------------------------------

/// Declares types that travel, in LSP's spelling.
macro_rules! messages {
    ($($(#[$attr:meta])* struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$attr])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct $name { $($field: $type),* }
    )*};
}
messages! {
    struct InitializeParams { process_id: Option<u32>, root_uri: Option<String> }
    struct InitializeResult { capabilities: Capabilities }
    struct Capabilities { hover_provider: bool }
    struct Empty {}
    struct DocumentId { uri: String }
    struct DocumentItem { uri: String, language_id: String, version: i32, text: String }
    struct DidOpen { text_document: DocumentItem }
    struct DidChange { text_document: DocumentId, content_changes: Vec<Change> }
    /// Without a range: the whole text.
    struct Change { text: String }
    /// LSP counts in UTF-16; all that is written here is ASCII, where that is the same as bytes.
    struct Position { line: usize, character: usize }
    struct Range { start: Position, end: Position }
    struct At { text_document: DocumentId, position: Position }
    struct Hover { contents: String }
    struct CompletionItem { label: String }
    struct Diagnostics { uri: String, diagnostics: Vec<Diagnostic> }
    struct Diagnostic { range: Range, message: String }
    struct Command { command: String, arguments: Vec<String> }
    struct TextEdit { range: Range, new_text: String }
    struct WorkspaceEdit { changes: BTreeMap<String, Vec<TextEdit>> }
    struct ApplyEdit { label: Option<String>, edit: WorkspaceEdit }
    struct ApplyEditResult { applied: bool }
}

#[derive(Debug, thiserror::Error, RpcError)]
enum CommandError {
    #[error("there is no command `{0}`")]
    #[rpc(code = 1)]
    Unknown(String),

    #[error("the editor did not apply the edit")]
    #[rpc(code = 2)]
    NotApplied,
}

// ---- The server: it knows how LSP is spelled ---------------------------------------------------------------------

const TYPO: &str = "langauge";
const WORD: &str = "language";

/// The texts as the editor has them, by URI.
#[derive(Default)]
struct Speller {
    texts: Mutex<BTreeMap<String, String>>,
}

impl Speller {
    fn texts(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.texts.lock().expect("nobody panics while holding it")
    }

    fn typos(&self, uri: &str) -> Vec<Range> {
        let texts = self.texts();
        let lines = texts.get(uri).map(String::as_str).unwrap_or_default().lines().enumerate();
        let typos =
            lines.flat_map(|(line, text)| text.match_indices(TYPO).map(move |(start, _)| (line, start)));
        typos
            .map(|(line, start)| Range {
                start: Position { line, character: start },
                end: Position { line, character: start + TYPO.len() },
            })
            .collect()
    }

    /// Takes the new text, and tells the editor what is wrong with it.
    async fn read(&self, editor: &Session, uri: String, text: String) {
        self.texts().insert(uri.clone(), text);
        let message = format!("did you mean `{WORD}`?");
        let diagnostics =
            self.typos(&uri).into_iter().map(|range| Diagnostic { range, message: message.clone() });
        let diagnostics = diagnostics.collect();
        let problems = ProblemsClient::from(editor.clone());
        if let Err(error) = problems.publish_diagnostics(Diagnostics { uri, diagnostics }).await {
            println!("server: the editor has gone: {error}");
        }
    }
}

impl Lifecycle for Speller {
    async fn initialize(&self, params: InitializeParams) -> InitializeResult {
        println!("server: process {:?} opens {:?}", params.process_id, params.root_uri);
        InitializeResult { capabilities: Capabilities { hover_provider: true } }
    }

    async fn initialized(&self, cx: &Context, _: Empty) {
        println!("server: {} is ready", cx.peer());
    }

    async fn shutdown(&self) {
        self.texts().clear();
    }

    /// Not `close`, which would wait for this handler to end.
    async fn exit(&self, cx: &Context) {
        cx.session().start_close();
    }
}

impl TextDocument for Speller {
    async fn did_open(&self, cx: &Context, params: DidOpen) {
        self.read(cx.session(), params.text_document.uri, params.text_document.text).await;
    }

    async fn did_change(&self, cx: &Context, params: DidChange) {
        for change in params.content_changes {
            self.read(cx.session(), params.text_document.uri.clone(), change.text).await;
        }
    }

    async fn hover(&self, At { text_document, position }: At) -> Option<Hover> {
        let typos = self.typos(&text_document.uri);
        let hit = typos.iter().any(|typo| {
            typo.start.line == position.line
                && (typo.start.character..typo.end.character).contains(&position.character)
        });
        hit.then(|| Hover { contents: format!("`{TYPO}` is a common misspelling of `{WORD}`") })
    }

    async fn completion(&self, At { text_document, position }: At) -> Vec<CompletionItem> {
        let texts = self.texts();
        let line = texts.get(&text_document.uri).and_then(|text| text.lines().nth(position.line));
        let before = line.and_then(|line| line.get(..position.character)).unwrap_or_default();
        let prefix = before.rsplit(' ').next().unwrap_or_default();
        let words = [WORD, "server", "protocol"].into_iter().filter(|word| word.starts_with(prefix));
        words.map(|label| CompletionItem { label: label.into() }).collect()
    }
}

impl Commands for Speller {
    async fn execute_command(&self, cx: &Context, params: Command) -> Result<u32, CommandError> {
        let ("speller.fixAll", [uri]) = (params.command.as_str(), params.arguments.as_slice()) else {
            return Err(CommandError::Unknown(params.command));
        };
        let fix = |range| TextEdit { range, new_text: WORD.into() };
        let edits: Vec<TextEdit> = self.typos(uri).into_iter().map(fix).collect();
        let count = edits.len() as u32;
        let edit = WorkspaceEdit { changes: BTreeMap::from([(uri.clone(), edits)]) };
        // The editor waits for us, and we for the editor: replies are always read, so neither locks the other up.
        let editor = WorkspaceClient::from(cx.session().clone());
        match editor.apply_edit(ApplyEdit { label: Some("Fix spelling".into()), edit }).await {
            Ok(ApplyEditResult { applied: true }) => Ok(count),
            Ok(ApplyEditResult { applied: false }) | Err(_) => Err(CommandError::NotApplied),
        }
    }
}

// ---- The editor --------------------------------------------------------------------------------------------------

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

// ---- What happens ------------------------------------------------------------------------------------------------

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In earnest, the server's end is its standard input and output: `tokio::io::join(stdin(), stdout())`.
    let (near, far) = transport::memory(64 * 1024);

    let speller = Arc::new(Speller::default());
    let serving = Connector::over(far)
        .framer(ContentLengthFramer::new())
        .service(LifecycleServer::from(Arc::clone(&speller)))
        .service(TextDocumentServer::from(Arc::clone(&speller)))
        .service(CommandsServer::from(speller))
        .connect()
        .await?;

    let text = "a langauge server\nfor every langauge\nand every l";
    let editor = Arc::new(Editor { buffer: Mutex::new(text.into()) });
    let session = Connector::over(near)
        .framer(ContentLengthFramer::new())
        .service(ProblemsServer::from(Arc::clone(&editor)))
        .service(WorkspaceServer::from(Arc::clone(&editor)))
        .connect()
        .await?;
    let lifecycle = LifecycleClient::from(session.clone());
    let documents = TextDocumentClient::from(session.clone());
    let commands = CommandsClient::from(session.clone());

    let root_uri = Some("file:///work".into());
    let server = lifecycle.initialize(InitializeParams { process_id: Some(4711), root_uri }).await?;
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

    lifecycle.shutdown().await?;
    lifecycle.exit().await?;
    println!("editor: {}", session.closed().await);
    println!("server: {}", serving.closed().await);
    Ok(())
}
