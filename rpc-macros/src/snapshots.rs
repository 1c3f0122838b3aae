//! What the macros expand to, as files that people can read: `snapshots/*.rs`. They change with the generated code, and
//! a review sees how. `UPDATE_SNAPSHOTS=1 cargo test -p rpc-macros` writes them anew.

use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand;

#[test]
fn a_service() {
    let service = expand::service(
        quote!(namespace = "calc", separator = "."),
        &quote! {
            /// What a calculator offers.
            pub trait Calc {
                /// Adds two numbers.
                async fn add(&self, a: i64, b: i64) -> i64;

                /// Borrowed in, on both sides.
                async fn greet(&self, name: &str) -> String;

                /// Typed failure.
                async fn div(&self, a: i64, b: i64) -> Result<i64, DivError>;

                fn version(&self) -> u32;

                /// No reply travels back.
                #[rpc(notification, params = "by_name")]
                async fn log(&self, line: &str);

                #[rpc(name = "renameAll")]
                async fn rename(
                    &self,
                    #[rpc(context)] cx: &Context,
                    #[rpc(name = "old")] from: &str,
                    to: Cow<'_, str>,
                ) -> Result<usize, DivError>;

                async fn twice(&self, a: i64) -> i64 {
                    self.add(a, a).await
                }
            }
        },
    );
    matches_snapshot("service", service);
}

#[test]
fn a_service_with_conditions() {
    let service = expand::service(
        TokenStream::new(),
        &quote! {
            trait Conditional {
                fn first(&self);
                #[cfg(unix)]
                fn second(&self);
                #[deprecated]
                fn third(&self);
            }
        },
    );
    matches_snapshot("conditions", service);
}

#[test]
fn a_service_with_type_parameters() {
    let service = expand::service(
        quote!(server, rename_all = "camelCase", auto_impl),
        &quote! {
            pub trait Store<K: Ord, V = String>: Debug
            where
                V: Clone,
                Self: Unpin,
            {
                #[rpc(alias = "put", timeout = "5s", idempotent)]
                async fn put_value(&self, key: K, #[rpc(default)] value: &V) -> Result<V, StoreError>;

                #[rpc(blocking)]
                fn find_first(&self, note: Option<&str>, #[rpc(rest)] keys: Vec<K>) -> Option<&V>;
            }
        },
    );
    matches_snapshot("type_parameters", service);
}

#[test]
fn a_client_of_everything_that_is_sent_in_a_way_of_its_own() {
    let service = expand::service(
        quote!(client),
        &quote! {
            trait Editor {
                async fn initialize(&self, #[rpc(whole)] params: &Initialize) -> &str;
                async fn open(&self, force: bool, #[rpc(rest)] paths: &[PathBuf]);
                async fn resize(&self, width: u16, #[cfg(unix)] height: u16);
            }
        },
    );
    matches_snapshot("client", service);
}

#[test]
fn an_error() {
    let error = expand::error_type(quote! {
        #[rpc(crate = path::to::rpc)]
        pub enum DivError {
            #[rpc(code = -32001)]
            ByZero,
            #[rpc(code = -32002)]
            NotEnough { have: u64, r#type: String },
            #[rpc(code = 7)]
            Other(String),
            #[rpc(code = 8)]
            Pair(String, u8),
        }
    });
    matches_snapshot("error", error);
}

#[test]
fn a_service_with_a_mistake() {
    let service = expand::service(
        quote!(colour = "blue"),
        &quote! {
            pub trait Calc {
                async fn add(&self, (a, b): (i64, i64)) -> Result<i64, DivError>;
                #[rpc(notification)]
                async fn log(&self, line: &str);
            }
        },
    );
    matches_snapshot("service_with_a_mistake", service);
}

fn matches_snapshot(name: &str, expansion: TokenStream) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots").join(name).with_extension("rs");
    let file = syn::parse2(expansion).expect("an expansion is a list of items");
    let actual = prettyplease::unparse(&file);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, &actual).expect("a snapshot can be written");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        actual == expected,
        "{} differs from the expansion, which is now:\n\n{actual}\nIf that is right, run with UPDATE_SNAPSHOTS=1.",
        path.display(),
    );
}
