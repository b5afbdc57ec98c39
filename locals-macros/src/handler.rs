//! The annotated function as it is written: its attributes and signature parsed, its body raw.
//!
//! The body stays unparsed, so that an editor completes inside it while it is half written.

use proc_macro2::TokenStream;
use syn::{
    Attribute as SynAttribute, FnArg, GenericArgument, PathArguments, Result, Signature, Type,
    Visibility,
    parse::{Parse, ParseStream},
};

/// Which of the two attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribute {
    WithSession,
    RequireUser,
}

impl Attribute {
    pub fn name(self) -> &'static str {
        match self {
            Self::WithSession => "with_session",
            Self::RequireUser => "require_user",
        }
    }
}

pub struct Handler {
    pub attributes: Vec<SynAttribute>,
    pub visibility: Visibility,
    pub signature: Signature,
    pub body: TokenStream,
}

impl Parse for Handler {
    fn parse(input: ParseStream) -> Result<Self> {
        Ok(Self {
            attributes: input.call(SynAttribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

/// A parameter of the handler, by what it asks for.
pub struct Parameter<'a> {
    pub attributes: &'a [SynAttribute],
    pub ty: &'a Type,
    pub kind: Kind<'a>,
}

impl<'a> Parameter<'a> {
    pub fn is_ordinary(&self) -> bool {
        matches!(self.kind, Kind::Ordinary)
    }

    /// `User` or `Verified` without the types it needs.
    pub fn is_unnamed(&self) -> bool {
        matches!(
            self.kind,
            Kind::Given(Given::User { named: false } | Given::Verified { named: false }, ..)
        )
    }

    /// The type of the user that it names.
    pub fn user_type(&self) -> Option<&'a Type> {
        match self.kind {
            Kind::Given(Given::User { .. } | Given::Verified { .. }, _, ty) => first_argument(ty),
            _ => None,
        }
    }
}

#[derive(Clone, Copy)]
pub enum Kind<'a> {
    /// One of ours, how it is wrapped, and its type without the wrapping.
    Given(Given, Wrapping, &'a Type),
    /// Any other extractor.
    Ordinary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    Session,
    User {
        /// Whether it names its type: `User<Account>`.
        named: bool,
    },
    Verified {
        /// Whether it names its types: `Verified<Account, IsAdmin>`.
        named: bool,
    },
    Locals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    Bare,
    Option,
    Result,
    Reference,
}

impl Handler {
    /// The parameters in order, without a receiver.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(Parameter {
                attributes: &typed.attrs,
                ty: &typed.ty,
                kind: Kind::of(&typed.ty),
            }),
        })
    }
}

impl<'a> Kind<'a> {
    fn of(ty: &'a Type) -> Self {
        let ty = ungrouped(ty);
        let (wrapping, inner) = match ty {
            Type::Reference(reference) => (Wrapping::Reference, &*reference.elem),
            _ => match (last_segment(ty), first_argument(ty)) {
                (Some((name, _)), Some(inner)) if name == "Option" => (Wrapping::Option, inner),
                (Some((name, _)), Some(inner)) if name == "Result" => (Wrapping::Result, inner),
                _ => (Wrapping::Bare, ty),
            },
        };
        let inner = ungrouped(inner);
        match Given::of(inner) {
            Some(given) => Self::Given(given, wrapping, inner),
            None => Self::Ordinary,
        }
    }
}

impl Given {
    /// Recognised by the last segment, so that the app's own alias or module works.
    fn of(ty: &Type) -> Option<Self> {
        let (name, arguments) = last_segment(ty)?;
        if is_of_actix_session(ty) {
            return None;
        }
        match name.as_str() {
            "Session" => Some(Self::Session),
            "User" => Some(Self::User { named: !arguments.is_empty() }),
            "Verified" => Some(Self::Verified { named: !arguments.is_empty() }),
            "Locals" => Some(Self::Locals),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "Session",
            Self::User { .. } => "User",
            Self::Verified { .. } => "Verified",
            Self::Locals => "Locals",
        }
    }
}

/// `actix_session::Session` is an ordinary extractor of the same name.
fn is_of_actix_session(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.first().is_some_and(|first| first.ident == "actix_session")
}

fn last_segment(ty: &Type) -> Option<(String, &PathArguments)> {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().map(|last| (last.ident.to_string(), &last.arguments))
        }
        _ => None,
    }
}

fn first_argument(ty: &Type) -> Option<&Type> {
    let (_, PathArguments::AngleBracketed(arguments)) = last_segment(ty)? else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

/// A type that came through a `macro_rules` parameter stands in an invisible group.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        _ => ty,
    }
}
