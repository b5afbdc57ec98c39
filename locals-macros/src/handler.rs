//! Parses the annotated function: its attributes and its signature, but not its body.
//!
//! The body stays a token stream, so that an editor can complete inside it while it is half written.

use proc_macro2::TokenStream;
use syn::{
    Attribute, FnArg, GenericArgument, PathArguments, Result, Signature, Type, Visibility,
    parse::{Parse, ParseStream},
};

/// The attribute that is expanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandlerAttribute {
    WithSession,
    RequireUser,
}

impl HandlerAttribute {
    pub fn name(self) -> &'static str {
        match self {
            Self::WithSession => "with_session",
            Self::RequireUser => "require_user",
        }
    }
}

/// The annotated function.
pub struct Handler {
    pub attributes: Vec<Attribute>,
    pub visibility: Visibility,
    pub signature: Signature,
    pub body: TokenStream,
}

impl Parse for Handler {
    fn parse(input: ParseStream) -> Result<Self> {
        Ok(Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        })
    }
}

impl Handler {
    /// The parameters in order, without `self`.
    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'_>> {
        self.signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(Parameter {
                attributes: &typed.attrs,
                ty: &typed.ty,
                kind: ParameterKind::of(&typed.ty),
            }),
        })
    }
}

/// A parameter of the handler.
pub struct Parameter<'a> {
    pub attributes: &'a [Attribute],
    pub ty: &'a Type,
    pub kind: ParameterKind<'a>,
}

impl<'a> Parameter<'a> {
    pub fn is_extractor(&self) -> bool {
        matches!(self.kind, ParameterKind::Extractor)
    }

    /// Whether it is a `User` or a `Verified` without the type arguments that it needs.
    pub fn lacks_type_arguments(&self) -> bool {
        let ParameterKind::Given(given, ..) = self.kind else { return false };
        given.lacks_type_arguments()
    }

    /// The type of the user that it names.
    pub fn user_type(&self) -> Option<&'a Type> {
        match self.kind {
            ParameterKind::Given(Given::User { .. } | Given::Verified { .. }, _, ty) => {
                first_type_argument(ty)
            }
            _ => None,
        }
    }
}

/// Where the value of a parameter comes from.
#[derive(Clone, Copy)]
pub enum ParameterKind<'a> {
    /// The attribute gives it: a type of `locals`, how it is wrapped, and the type without that.
    Given(Given, Wrapping, &'a Type),
    /// `FromRequest` extracts it.
    Extractor,
}

/// A type that the attribute gives to the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    Session,
    User {
        /// Whether it has its argument, as in `User<Account>`.
        has_type_arguments: bool,
    },
    Verified {
        /// Whether it has its arguments, as in `Verified<Account, IsAdmin>`.
        has_type_arguments: bool,
    },
    Locals,
}

/// What a given type is wrapped in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrapping {
    Bare,
    Option,
    Result,
    Reference,
}

impl<'a> ParameterKind<'a> {
    fn of(ty: &'a Type) -> Self {
        let ty = strip_groups(ty);
        let (wrapping, inner) = match ty {
            Type::Reference(reference) => (Wrapping::Reference, &*reference.elem),
            _ => match (last_segment(ty), first_type_argument(ty)) {
                (Some((name, _)), Some(inner)) if name == "Option" => (Wrapping::Option, inner),
                (Some((name, _)), Some(inner)) if name == "Result" => (Wrapping::Result, inner),
                _ => (Wrapping::Bare, ty),
            },
        };
        let inner = strip_groups(inner);
        match Given::of(inner) {
            Some(given) => Self::Given(given, wrapping, inner),
            None => Self::Extractor,
        }
    }
}

impl Given {
    /// Compares only the last segment of the path, so that an alias or a module of the app works.
    fn of(ty: &Type) -> Option<Self> {
        let (name, arguments) = last_segment(ty)?;
        if is_from_actix_session(ty) {
            return None;
        }
        let has_type_arguments = !arguments.is_empty();
        match name.as_str() {
            "Session" => Some(Self::Session),
            "User" => Some(Self::User { has_type_arguments }),
            "Verified" => Some(Self::Verified { has_type_arguments }),
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

    fn lacks_type_arguments(self) -> bool {
        matches!(
            self,
            Self::User { has_type_arguments: false } | Self::Verified { has_type_arguments: false }
        )
    }
}

/// `actix_session::Session` has the name of ours, but is an extractor.
fn is_from_actix_session(ty: &Type) -> bool {
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

fn first_type_argument(ty: &Type) -> Option<&Type> {
    let (_, PathArguments::AngleBracketed(arguments)) = last_segment(ty)? else {
        return None;
    };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    }
}

/// The type without parentheses and without invisible groups, which come from `macro_rules` parameters.
fn strip_groups(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => strip_groups(&group.elem),
        Type::Paren(paren) => strip_groups(&paren.elem),
        _ => ty,
    }
}
