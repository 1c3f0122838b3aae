//! What may stand behind `name =`, and what is said where something else does.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Ident, LitInt, LitStr, Path, Token};

use super::word::Word;
use crate::errors::Errors;

impl Word {
    /// A word without a value, which is given back for what is to be said of it later.
    pub(super) fn flag(&self, errors: &mut Errors) -> Option<Ident> {
        if let Some(value) = &self.value {
            errors.at(value, format!("`{0}` takes no value; write just `{0}`", self.name));
        }
        Some(self.name.clone())
    }

    /// `name = "text"`.
    pub(super) fn string(&self, errors: &mut Errors) -> Option<LitStr> {
        let value = self.value(r#""..""#, errors)?;
        let parsed = syn::parse2::<LitStr>(value.clone()).ok().filter(|string| string.suffix().is_empty());
        if parsed.is_none() {
            errors.at(value, format!(r#"`{0}` takes a string; write `{0} = ".."`"#, self.name));
        }
        parsed
    }

    /// `name`, or `name("a", "b")`.
    pub(super) fn strings(&self, errors: &mut Errors) -> Option<Option<Vec<LitStr>>> {
        let Self { name, value, list } = self;
        let shapes = format!(r#"write `{name}`, or `{name}("a", "b")`"#);
        if let Some(value) = value {
            errors.at(value, format!("`{name}` takes no value; {shapes}"));
            return None;
        }
        let Some(list) = list else { return Some(None) };
        let strings = Punctuated::<LitStr, Token![,]>::parse_terminated;
        let Ok(strings) = syn::parse::Parser::parse2(strings, list.clone()) else {
            errors.at(list, format!("`{name}` takes a list of strings; {shapes}"));
            return None;
        };
        if strings.is_empty() {
            errors.at(name, format!("`{name}` lists nothing; {shapes}"));
            return None;
        }
        let mut different: Vec<LitStr> = Vec::new();
        for string in strings {
            if different.iter().any(|earlier| earlier.value() == string.value()) {
                errors.at(
                    &string,
                    format!("`{}` is already listed; leave one of the two away", string.value()),
                );
            } else {
                different.push(string);
            }
        }
        Some(Some(different))
    }

    /// `name = path::to::something`. A quoted path is reported but still understood, so that nothing follows from it.
    pub(super) fn path(&self, errors: &mut Errors) -> Option<Path> {
        let value = self.value("path::to::it", errors)?;
        let parse = |tokens| syn::parse::Parser::parse2(Path::parse_mod_style, tokens).ok();
        if let Some(path) = parse(value.clone()) {
            return Some(path);
        }
        let meant = syn::parse2::<LitStr>(value.clone())
            .ok()
            .and_then(|quoted| quoted.parse_with(Path::parse_mod_style).ok());
        let example = meant.as_ref().map_or_else(|| "path::to::it".to_owned(), spelled);
        errors.at(value, format!("`{0}` takes a path; write `{0} = {example}`", self.name));
        meant
    }

    /// `name = -5`. The tokens are given back with the number, for what is to be said of it later.
    pub(super) fn integer(&self, errors: &mut Errors) -> Option<(i64, TokenStream)> {
        let value = self.value("-5", errors)?;
        let number = syn::parse::Parser::parse2(
            |input: syn::parse::ParseStream<'_>| {
                let minus: Option<Token![-]> = input.parse()?;
                let digits: LitInt = input.parse()?;
                Ok((minus.is_some(), digits))
            },
            value.clone(),
        );
        let Ok((negative, digits)) = number else {
            errors.at(value, format!("`{0}` takes an integer; write `{0} = 1`, `{0} = -5`", self.name));
            return None;
        };
        if !digits.suffix().is_empty() {
            errors.at(value, format!("`{}` takes an integer without a suffix", self.name));
            return None;
        }
        // The sign is parsed with the digits: the least `i64` has no positive counterpart.
        let sign = if negative { "-" } else { "" };
        let number = format!("{sign}{}", digits.base10_digits()).parse();
        if number.is_err() {
            errors.at(value, format!("`{}` must fit into 64 bits", self.name));
        }
        Some((number.ok()?, value.clone()))
    }

    /// `name = "5s"`
    pub(super) fn duration(&self, errors: &mut Errors) -> Option<Duration> {
        let text = self.string(errors)?;
        match duration(&text.value()) {
            Ok(duration) => Some(duration),
            Err(problem) => {
                errors.at(text, format!("`{}` {problem}", self.name));
                None
            }
        }
    }

    fn value(&self, example: &str, errors: &mut Errors) -> Option<&TokenStream> {
        if self.value.is_none() {
            errors.at(&self.name, format!("`{0}` needs a value; write `{0} = {example}`", self.name));
        }
        self.value.as_ref()
    }
}

/// A number and its unit.
fn duration(text: &str) -> Result<Duration, &'static str> {
    const SHAPE: &str = "is a whole number and a unit; write \"500ms\", \"5s\", \"2m\" or \"1h\"";
    const TOO_LONG: &str = "is too long";
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(SHAPE),
    };
    if number.is_empty() {
        return Err(SHAPE);
    }
    let millis = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or(TOO_LONG)?;
    match millis {
        0 => Err("leaves no time at all; give some, or leave it away"),
        millis => Ok(Duration::from_millis(millis)),
    }
}

/// A path without the spaces that printing tokens puts into it.
fn spelled(path: &Path) -> String {
    quote!(#path).to_token_stream().to_string().replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        for (text, millis) in
            [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h", 3_600_000), ("007s", 7_000)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for wrong in [
            "",
            "5",
            "s",
            "5 s",
            " 5s",
            "-5s",
            "+5s",
            "0.5s",
            "5S",
            "5sec",
            "0s",
            "1_000ms",
            "99999999999999999999ms",
            "9999999999999999h",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
