//! The server: it knows how LSP is spelled. Its standard output belongs to the protocol, so what it has to say otherwise goes to standard
//! error.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, MutexGuard},
};

use rpc::{Cancellation, Context, Server, Session, framing::ContentLengthFramer};

use crate::protocol::*;

const TYPO: &str = "langauge";
const WORD: &str = "language";

/// Serves the editor that has started this process, until it is done.
pub(crate) async fn serve() -> Result<(), Box<dyn Error>> {
    let speller = Arc::new(Speller::default());
    let server = Server::builder()
        .framer(ContentLengthFramer::new())
        .cancellation(Cancellation::LSP)
        .service(LifecycleServer::from(Arc::clone(&speller)))
        .service(TextDocumentServer::from(Arc::clone(&speller)))
        .service(CommandsServer::from(speller));
    server.bind("stdio:").await?.start().closed().await;
    Ok(())
}

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
            eprintln!("server: the editor has gone: {}", rpc::chain(&error));
        }
    }
}

impl Lifecycle for Speller {
    async fn initialize(&self, params: InitializeParams) -> InitializeResult {
        eprintln!("server: process {:?} opens {:?}", params.process_id, params.root_uri);
        InitializeResult { capabilities: Capabilities { hover_provider: true } }
    }

    async fn initialized(&self, _: Empty) {
        eprintln!("server: the editor is ready");
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
