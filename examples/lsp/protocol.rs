//! The protocol: what the server offers, what the editor offers, and what travels. The methods are those of
//! <https://microsoft.github.io/language-server-protocol/>.

use std::collections::BTreeMap;

use rpc::{Context, RpcError, rpc_service};
use serde::{Deserialize, Serialize};

/// The methods without a namespace.
#[rpc_service(rename_all = "camelCase")]
pub(crate) trait Lifecycle {
    /// `whole`: the parameters are this object, and not a list with the object in it.
    async fn initialize(&self, #[rpc(whole)] params: InitializeParams) -> InitializeResult;

    #[rpc(notification)]
    async fn initialized(&self, #[rpc(whole)] params: Empty);

    async fn shutdown(&self);

    #[rpc(notification)]
    async fn exit(&self, #[rpc(context)] cx: &Context);
}

#[rpc_service(namespace = "textDocument", separator = "/", rename_all = "camelCase")]
pub(crate) trait TextDocument {
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
pub(crate) trait Commands {
    async fn execute_command(
        &self,
        #[rpc(context)] cx: &Context,
        #[rpc(whole)] params: Command,
    ) -> Result<u32, CommandError>;
}

/// In the same namespaces: a name belongs to the side that serves it.
#[rpc_service(namespace = "textDocument", separator = "/", rename_all = "camelCase")]
pub(crate) trait Problems {
    #[rpc(notification, ordered)]
    async fn publish_diagnostics(&self, #[rpc(whole)] params: Diagnostics);
}

#[rpc_service(namespace = "workspace", separator = "/", rename_all = "camelCase")]
pub(crate) trait Workspace {
    async fn apply_edit(&self, #[rpc(whole)] params: ApplyEdit) -> ApplyEditResult;
}

/// Declares types that travel, in LSP's spelling.
macro_rules! messages {
    ($($(#[$attr:meta])* struct $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$attr])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
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
pub(crate) enum CommandError {
    #[error("there is no command `{0}`")]
    #[rpc(code = 1)]
    Unknown(String),

    #[error("the editor did not apply the edit")]
    #[rpc(code = 2)]
    NotApplied,
}
