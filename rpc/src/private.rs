//! The items that generated code names. Not for users: they change without notice.

use std::{
    fmt::Display,
    marker::PhantomData,
    path::{Path, PathBuf},
};

pub use std::{boxed::Box, marker::PhantomData as Of, sync::Arc};

pub use serde::{Serialize, de::DeserializeOwned};

use serde_json::value::RawValue;

pub use crate::{
    jsonrpc::params::{OrDefault, WithRest},
    service::{Args, ReplyValue, Returned, Sink, blocking, no_such_method, returned, written},
    session::Readable,
};
use crate::{
    jsonrpc::{ErrorObject, MethodInfo, ParamInfo, params, secret, shown::brief},
    service::{self, Handled, Request},
};

/// Tells whether a type is a `Result`, under whatever alias: the inherent constant of
/// `Probe<Result<..>>` takes precedence over the one that every type has by [`Plain`].
#[derive(Debug)]
pub struct Probe<T: ?Sized>(PhantomData<T>);

impl<T, E> Probe<Result<T, E>> {
    /// The type is a `Result`.
    pub const FALLIBLE: bool = true;
}

/// The fallback of [`Probe`].
pub trait Plain {
    /// The type is not a `Result`.
    const FALLIBLE: bool = false;
}

impl<T: ?Sized> Plain for Probe<T> {}

/// How a parameter `&T` is read and lent to the handler, and how the caller gets a reply `&T`.
pub trait Borrowed {
    /// The owned type that is read.
    type Owned;

    /// Lends the owned value to the handler.
    fn lend(owned: &Self::Owned) -> &Self;
}

impl<T> Borrowed for T {
    type Owned = T;

    fn lend(owned: &T) -> &T {
        owned
    }
}

impl Borrowed for str {
    type Owned = String;

    fn lend(owned: &String) -> &str {
        owned
    }
}

impl<T> Borrowed for [T] {
    type Owned = Vec<T>;

    fn lend(owned: &Vec<T>) -> &[T] {
        owned
    }
}

impl Borrowed for Path {
    type Owned = PathBuf;

    fn lend(owned: &PathBuf) -> &Path {
        owned
    }
}

/// The owned type for a `&T` on the other side.
pub type Owned<T> = <T as Borrowed>::Owned;

/// Lends an optional value.
pub fn lend_option<T: Borrowed + ?Sized>(owned: &Option<T::Owned>) -> Option<&T> {
    owned.as_ref().map(T::lend)
}

/// Keeps the secrets of these methods out of the log, for a client that is going to send some.
pub fn keep_secrets(methods: &[MethodInfo]) {
    secret::keep(methods);
}

/// Lends each element of a list. The references need a list of their own, because the list that was
/// read has owned values.
pub fn lend_all<T: Borrowed + ?Sized>(owned: &[T::Owned]) -> Vec<&T> {
    owned.iter().map(T::lend).collect()
}

/// Lends each element of an optional list.
pub fn lend_all_option<T: Borrowed + ?Sized>(owned: &Option<Vec<T::Owned>>) -> Option<Vec<&T>> {
    owned.as_deref().map(lend_all)
}

/// An error without fields.
pub fn error_object(code: i64, error: &impl Display) -> ErrorObject {
    ErrorObject::new(code, error.to_string())
}

/// An error with one unnamed field, which is the data.
pub fn error_object_value(code: i64, error: &impl Display, value: &(impl Serialize + ?Sized)) -> ErrorObject {
    with_data(code, error, value)
}

/// An error with several unnamed fields: the data is an array.
pub fn error_object_tuple(code: i64, error: &impl Display, fields: impl Serialize) -> ErrorObject {
    with_data(code, error, &fields)
}

/// An error with named fields: the data is an object.
pub fn error_object_named(
    code: i64,
    error: &impl Display,
    names: &'static [&'static str],
    fields: impl Serialize,
) -> ErrorObject {
    let names: Vec<ParamInfo> = names.iter().copied().map(ParamInfo::new).collect();
    with_data(code, error, &params::NamedParams { names: &names, values: &fields })
}

fn with_data(code: i64, error: &impl Display, data: &(impl Serialize + ?Sized)) -> ErrorObject {
    match ErrorObject::new(code, error.to_string()).with_data(data) {
        Ok(object) => object,
        // Without its data it would be read as another error of the same code, whose fields are
        // null.
        Err(why) => {
            tracing::error!(rpc.system.name = "jsonrpc", code, why = %brief(&why), "the fields of an error cannot be written as JSON");
            ErrorObject::internal()
        }
    }
}

/// The data of an error: its one unnamed field, or several as a list. See [`Takes::read_data`].
pub fn error_field<T>(error: &ErrorObject, types: impl Takes<T>) -> Option<T> {
    types.read_data(error)
}

/// The named fields of an error. See [`Takes::read_fields`].
pub fn error_fields_named<T>(
    error: &ErrorObject,
    names: &'static [&'static str],
    types: impl Takes<T>,
) -> Option<T> {
    let names: Vec<ParamInfo> = names.iter().copied().map(ParamInfo::new).collect();
    types.read_fields(error, &names)
}

/// The types to read a `P` as: a tuple of them for the parameters of a method or the fields of an
/// error, or one.
///
/// Generated code passes each type as an expression of its own, so that the compiler can report an
/// error at that type.
pub trait Takes<P> {
    /// Reads the parameters of a request.
    fn decode(self, args: Args<'_>) -> Result<P, ErrorObject>;

    /// Reads the data of an error. Missing data is read as null, because peers leave out data that
    /// is null.
    fn read_data(self, error: &ErrorObject) -> Option<P>;

    /// Reads the data of an error that is an object with these members. Missing members are read as
    /// null.
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
/// Implements [`Takes`] for tuples of every length down to none.
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
