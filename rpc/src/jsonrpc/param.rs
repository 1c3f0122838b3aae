//! What a parameter looks like from outside.

/// Describes one parameter of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParamInfo {
    name: &'static str,
    extent: Extent,
    default: bool,
    optional: bool,
    secret: bool,
    docs: &'static str,
}

/// How much of what is sent belongs to the parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Single,
    Rest,
    Whole,
}

impl ParamInfo {
    /// A parameter under its name on the wire: one value.
    pub const fn new(name: &'static str) -> Self {
        Self { name, extent: Extent::Single, default: false, optional: false, secret: false, docs: "" }
    }

    /// The same parameter, which is a list of all values from here on: `sum(1, 2, 3)`. By name it is sent as a list. It is the last
    /// one of its method.
    pub const fn rest(self) -> Self {
        Self { extent: Extent::Rest, ..self }
    }

    /// The same parameter, which is the whole array or object of parameters. It is the only one of its method, and its name does not
    /// travel.
    pub const fn whole(self) -> Self {
        Self { extent: Extent::Whole, ..self }
    }

    /// The same parameter, which may be missing: its type has a default.
    pub const fn with_default(self) -> Self {
        Self { default: true, ..self }
    }

    /// The same parameter, whose type is an `Option`: sent by name, it is left out where it is `None`.
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// The same parameter, which is kept out of the log: see
    /// [`guide::service`](crate::guide::service#secret).
    pub const fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// The same parameter with documentation.
    pub const fn with_docs(self, docs: &'static str) -> Self {
        Self { docs, ..self }
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it takes all values from here on.
    pub const fn is_rest(&self) -> bool {
        matches!(self.extent, Extent::Rest)
    }

    /// Whether it is the whole array or object.
    pub const fn is_whole(&self) -> bool {
        matches!(self.extent, Extent::Whole)
    }

    /// Whether a default stands in where it is missing. (What is an `Option` may be missing too.)
    pub const fn has_default(&self) -> bool {
        self.default
    }

    /// Whether it is seen to be an `Option`, and left out where it is `None` and sent by name.
    pub const fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether it is kept out of the log.
    pub const fn is_secret(&self) -> bool {
        self.secret
    }

    /// The documentation of the trait's parameter, as written.
    pub const fn docs(&self) -> &'static str {
        self.docs
    }

    /// Whether it is one value like most.
    pub(crate) const fn is_single(&self) -> bool {
        matches!(self.extent, Extent::Single)
    }
}
