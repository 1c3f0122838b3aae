//! The crates whose expansion is measured.

use std::{fs, io, path::Path};

use super::{METHODS, Macro};

/// Writes a workspace with a crate for each macro. It has the versions of the benchmarks' own lock file.
pub fn write(dir: &Path) -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let members = Macro::ALL.map(|peer| format!("\"{}\"", peer.name())).join(", ");
    fs::create_dir_all(dir)?;
    fs::write(dir.join("Cargo.toml"), format!("[workspace]\nresolver = \"3\"\nmembers = [{members}]\n"))?;
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock"))?;
    for peer in Macro::ALL {
        let source = dir.join(peer.name()).join("src");
        fs::create_dir_all(&source)?;
        fs::write(dir.join(peer.name()).join("Cargo.toml"), manifest(peer, root))?;
        fs::write(source.join("lib.rs"), lib(peer))?;
    }
    Ok(())
}

fn manifest(peer: Macro, root: &Path) -> String {
    let framework = match peer {
        Macro::Bare => String::new(),
        Macro::Ours => format!("rpc = {{ path = {:?} }}\n", root.join("../../rpc")),
        Macro::Tarpc => {
            "tarpc = { version = \"0.38\", features = [\"serde-transport\", \"tokio1\"] }\n".into()
        }
        Macro::Jsonrpsee => {
            "jsonrpsee = { version = \"0.26\", features = [\"server\", \"ws-client\", \"macros\"] }\n".into()
        }
    };
    let name = peer.name();
    format!(
        "[package]\nname = \"thin-{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n{framework}"
    )
}

fn lib(peer: Macro) -> String {
    let methods = |line: &dyn Fn(String) -> String| -> String {
        (0..METHODS).map(|index| line(format!("method_{index}")) + "\n").collect()
    };
    let types = "\
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]\n\
        pub struct User { pub id: u64, pub name: String }\n\
        pub struct Impl;\n";
    let body = "{ Ok(User { id: a, name: b }) }";
    match peer {
        Macro::Bare => {
            let error = "#[derive(Debug, serde::Serialize, serde::Deserialize)]\npub struct E;\n";
            let declared = methods(&|m| {
                format!("fn {m}(&self, a: u64, b: String) -> impl Future<Output = Result<User, E>> + Send;")
            });
            let implemented =
                methods(&|m| format!("async fn {m}(&self, a: u64, b: String) -> Result<User, E> {body}"));
            let called = methods(&|m| format!("let _ = api.{m}(1, String::new()).await;"));
            format!(
                "{types}{error}pub trait Api: Send + Sync + 'static {{\n{declared}}}\n\
                 impl Api for Impl {{\n{implemented}}}\n\
                 pub async fn call(api: &Impl) {{\n{called}}}\n"
            )
        }
        Macro::Ours => {
            let error = "\
                #[derive(Debug, rpc::RpcError)]\n#[rpc(code = 1)]\npub struct E;\n\
                impl std::fmt::Display for E {\n\
                    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(\"E\") }\n\
                }\n\
                impl std::error::Error for E {}\n";
            let declared =
                methods(&|m| format!("async fn {m}(&self, a: u64, b: String) -> Result<User, E>;"));
            let implemented =
                methods(&|m| format!("async fn {m}(&self, a: u64, b: String) -> Result<User, E> {body}"));
            let called = methods(&|m| format!("let _ = api.{m}(1, String::new()).await;"));
            format!(
                "{types}{error}#[rpc::rpc_service]\npub trait Api {{\n{declared}}}\n\
                 impl Api for Impl {{\n{implemented}}}\n\
                 pub async fn call(api: ApiClient) {{\n{called}}}\n\
                 pub fn serve() -> impl rpc::Service {{ ApiServer::new(Impl) }}\n"
            )
        }
        Macro::Tarpc => {
            let error = "#[derive(Debug, serde::Serialize, serde::Deserialize)]\npub struct E;\n";
            let declared = methods(&|m| format!("async fn {m}(a: u64, b: String) -> Result<User, E>;"));
            let implemented = methods(&|m| {
                format!(
                    "async fn {m}(self, _: tarpc::context::Context, a: u64, b: String) -> Result<User, E> {body}"
                )
            });
            let called =
                methods(&|m| format!("let _ = api.{m}(tarpc::context::current(), 1, String::new()).await;"));
            format!(
                "{types}{error}#[tarpc::service]\npub trait Api {{\n{declared}}}\n\
                 impl Clone for Impl {{ fn clone(&self) -> Self {{ Impl }} }}\n\
                 impl Api for Impl {{\n{implemented}}}\n\
                 pub async fn call(api: ApiClient) {{\n{called}}}\n\
                 pub fn serve() -> impl tarpc::server::Serve {{ Impl.serve() }}\n"
            )
        }
        Macro::Jsonrpsee => {
            let error = "type E = jsonrpsee::types::ErrorObjectOwned;\n";
            let declared = methods(&|m| {
                format!(
                    "#[method(name = \"{m}\")]\nasync fn {m}(&self, a: u64, b: String) -> Result<User, E>;"
                )
            });
            let implemented =
                methods(&|m| format!("async fn {m}(&self, a: u64, b: String) -> Result<User, E> {body}"));
            let called = methods(&|m| format!("let _ = api.{m}(1, String::new()).await;"));
            format!(
                "{types}{error}#[jsonrpsee::proc_macros::rpc(server, client)]\npub trait Api {{\n{declared}}}\n\
                 #[jsonrpsee::core::async_trait]\nimpl ApiServer for Impl {{\n{implemented}}}\n\
                 pub async fn call(api: jsonrpsee::ws_client::WsClient) {{\n{called}}}\n\
                 pub fn serve() -> jsonrpsee::server::RpcModule<Impl> {{ Impl.into_rpc() }}\n"
            )
        }
    }
}
