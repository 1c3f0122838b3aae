//! A value that is serialised once, however often it is sent.

use std::{
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error as _};
use serde_json::value::RawValue;

use crate::jsonrpc::one_line;

/// A value for many recipients: a clone is cheap, and the JSON is written once, at the first use.
///
/// It derefs to the value, and deserialises as the value. So it can be the item of a subscription
/// in the signature of a trait: the server sends the items of a [`Broadcast`](crate::Broadcast),
/// and a client reads them like plain values.
///
/// The value must not change how it serialises once that was done. It is meant for JSON: other
/// formats see serde_json's [`RawValue`].
///
/// ```
/// # fn main() -> Result<(), serde_json::Error> {
/// use rpc::SharedJson;
///
/// let block = SharedJson::new((1, "abc"));
/// assert_eq!(block.1, "abc");
/// assert_eq!(serde_json::to_string(&[block.clone(), block])?, r#"[[1,"abc"],[1,"abc"]]"#);
///
/// let read: SharedJson<(u64, String)> = serde_json::from_str(r#"[2,"abd"]"#)?;
/// assert_eq!(read.0, 2);
/// # Ok(()) }
/// ```
pub struct SharedJson<T: ?Sized>(Arc<CachedJson<T>>);

struct CachedJson<T: ?Sized> {
    /// A failure is kept as text: an error of serde's belongs to one serializer, and cannot be
    /// cloned.
    json: OnceLock<Result<Box<RawValue>, String>>,
    value: T,
}

impl<T> SharedJson<T> {
    /// Wraps a value, and serialises nothing yet.
    pub fn new(value: T) -> Self {
        Self(Arc::new(CachedJson { json: OnceLock::new(), value }))
    }

    /// The value itself if there is no other clone, as after reading it; otherwise a copy. An
    /// associated function, as [`Arc::unwrap_or_clone`] is.
    ///
    /// ```
    /// use rpc::SharedJson;
    ///
    /// let name = SharedJson::new("ann".to_owned());
    /// let also = name.clone();
    /// assert_eq!(SharedJson::unwrap_or_clone(name), "ann"); // a copy
    /// assert_eq!(SharedJson::unwrap_or_clone(also), "ann"); // the value
    /// ```
    pub fn unwrap_or_clone(this: Self) -> T
    where
        T: Clone,
    {
        match Arc::try_unwrap(this.0) {
            Ok(inner) => inner.value,
            Err(shared) => shared.value.clone(),
        }
    }
}

impl<T: Serialize + ?Sized> SharedJson<T> {
    fn json(&self) -> &Result<Box<RawValue>, String> {
        self.0.json.get_or_init(|| write(&self.0.value).map_err(|error| error.to_string()))
    }
}

fn write(value: &(impl Serialize + ?Sized)) -> serde_json::Result<Box<RawValue>> {
    let mut json = Vec::new();
    one_line::write(&mut json, value)?;
    RawValue::from_string(String::from_utf8(json).map_err(serde_json::Error::custom)?)
}

impl<T: ?Sized> Clone for SharedJson<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for SharedJson<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> From<T> for SharedJson<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Serialize + ?Sized> Serialize for SharedJson<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.json() {
            Ok(json) => json.serialize(serializer),
            Err(error) => Err(S::Error::custom(error)),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for SharedJson<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::new)
    }
}

impl<T: PartialEq + ?Sized> PartialEq for SharedJson<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq + ?Sized> Eq for SharedJson<T> {}

impl<T: fmt::Debug + ?Sized> fmt::Debug for SharedJson<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// Counts how often it is serialised.
    #[derive(Default)]
    struct CountedWrites(AtomicUsize);

    impl Serialize for CountedWrites {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.fetch_add(1, Relaxed);
            "a\nb".serialize(serializer)
        }
    }

    struct Unwritable;

    impl Serialize for Unwritable {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no words for it"))
        }
    }

    #[test]
    fn a_value_is_written_once_and_not_before_it_is_needed() {
        let value = SharedJson::new(CountedWrites::default());
        assert_eq!((*value).0.load(Relaxed), 0);
        for clone in [value.clone(), value.clone(), value.clone()] {
            assert_eq!(serde_json::to_string(&clone).unwrap(), r#""a\nb""#);
        }
        assert_eq!((*value).0.load(Relaxed), 1);
    }

    #[test]
    fn a_value_that_cannot_be_written_says_why_every_time() {
        let value = SharedJson::new(Unwritable);
        for _ in 0..2 {
            assert_eq!(serde_json::to_string(&value).unwrap_err().to_string(), "no words for it");
        }
    }

    #[test]
    fn it_reads_as_the_value_and_is_compared_as_the_value() {
        let read: SharedJson<Vec<u8>> = serde_json::from_str("[1,2]").unwrap();
        assert_eq!(read, SharedJson::from(vec![1, 2]));
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::json!([1, 2]));
        assert_eq!(format!("{read:?} {}", read.len()), "[1, 2] 2");
    }
}
