//! What generated code reads messages with: functions that are told by value which types to read.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::{
    jsonrpc::{ErrorObject, ParamInfo, params},
    service::{self, Args, Handled, ReplyValue, Request, Sink},
};

/// Types to read a `P` as: a tuple of them for the parameters of a method or the fields of an error, or one.
///
/// Each type stands as an expression of its own in generated code. So the compiler can say at which of them something is wrong.
pub trait Takes<P> {
    /// Reads the parameters of a request.
    fn decode(self, args: Args<'_>) -> Result<P, ErrorObject>;

    /// Reads the data of an error. None at all is read as null: peers leave data out that is null.
    fn read_data(self, error: &ErrorObject) -> Option<P>;

    /// Reads the data of an error that is an object with these members. Those that are missing are
    /// read as null.
    fn read_fields(self, error: &ErrorObject, names: &[ParamInfo]) -> Option<P>;
}

fn data_of(error: &ErrorObject) -> &str {
    error.raw_data().map_or("null", RawValue::get)
}

macro_rules! takes {
    ($types:ty, $values:ty, $($param:ident)*) => {
        impl<$($param: DeserializeOwned),*> Takes<$values> for $types {
            fn decode(self, args: Args<'_>) -> Result<$values, ErrorObject> {
                args.decode()
            }

            fn read_data(self, error: &ErrorObject) -> Option<$values> {
                serde_json::from_str(data_of(error)).ok()
            }

            fn read_fields(self, error: &ErrorObject, names: &[ParamInfo]) -> Option<$values> {
                params::from_fields(data_of(error), names)
            }
        }
    };
}
/// Tuples of all lengths down to none.
macro_rules! tuples {
    ($first:ident $($others:ident)*) => {
        takes!((PhantomData<$first>, $(PhantomData<$others>,)*), ($first, $($others,)*), $first $($others)*);
        tuples!($($others)*);
    };
    () => { takes!((), (),); };
}
takes!(PhantomData<A>, A, A);
tuples!(A B C D E F G H I J K L M N O P);

/// Serves a request with an `async fn`.
pub fn handle<P, F, V>(request: Request<'_>, types: impl Takes<P>, handler: impl FnOnce(P) -> F) -> Handled
where
    F: Future<Output = V> + Send + 'static,
    V: ReplyValue + Send + 'static,
{
    service::handle(request, |args| types.decode(args).map(handler))
}

/// Serves a request with a plain `fn`.
pub fn handle_now<P, V: ReplyValue>(
    request: Request<'_>,
    types: impl Takes<P>,
    handler: impl FnOnce(P) -> V,
) -> Handled {
    service::handle_now(request, |args| types.decode(args).map(handler))
}

/// Serves a request that begins a subscription.
pub fn subscribe<P, F>(
    request: Request<'_>,
    types: impl Takes<P>,
    handler: impl FnOnce(P, Sink) -> F,
) -> Handled
where
    F: Future<Output = ()> + Send + 'static,
{
    service::subscribe(request, |args| types.decode(args), handler)
}
