//! Patterns, `mut`, attributes, aliases, bodies, and as many extractors as Actix takes.
use actix_multipart::Multipart;
use actix_web::{App, HttpRequest, HttpResponse, web};
use locals::{Auth, AuthUser, Locals, User, require_user, with_session};

mod model {
    #[derive(Clone, locals::AuthUser)]
    pub struct Account {
        pub id: i64,
        pub name: String,
    }

    /// The app's own names for ours.
    pub type Session = ::locals::Session;
    pub type User = super::User<Account>;
}

#[derive(serde::Deserialize)]
struct Form {
    name: String,
}

#[require_user]
async fn patterns(
    web::Form(Form { mut name }): web::Form<Form>,
    mut session: locals::Session,
    (_request, path): (HttpRequest, web::Path<(u8, u8)>),
    #[allow(unused_variables)] unused: String,
    /// A parameter may be documented.
    mut payload: web::Payload,
) -> String {
    name.push('!');
    session = session.clone();
    let (a, b) = path.into_inner();
    let inner = &mut payload;
    let _ = inner;
    format!("{name}{a}{b}{}", session.id())
}

#[require_user]
async fn alias(session: model::Session, user: locals::User<model::Account>) -> String {
    let user: model::User = user;
    format!("{}{}{}", session.id(), user.id, user.name)
}

#[with_session]
async fn json(_body: web::Json<Form>, _locals: Locals) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[with_session]
async fn multipart(_locals: Locals, _body: Multipart, auth: Auth<model::Account>) -> HttpResponse {
    drop(auth.configure());
    HttpResponse::Ok().finish()
}

#[require_user]
#[rustfmt::skip]
async fn sixteen(
    _session: locals::Session,
    _1: web::Data<u8>, _2: web::Data<u8>, _3: web::Data<u8>, _4: web::Data<u8>,
    _5: web::Data<u8>, _6: web::Data<u8>, _7: web::Data<u8>, _8: web::Data<u8>,
    _user: User<model::Account>,
    _9: web::Data<u8>, _10: web::Data<u8>, _11: web::Data<u8>, _12: web::Data<u8>,
    _13: web::Data<u8>, _14: web::Data<u8>, _15: web::Data<u8>, _16: String,
    _locals: Locals,
) -> HttpResponse {
    HttpResponse::Ok().finish()
}

macro_rules! handler {
    ($name:ident, $ty:ty) => {
        #[with_session]
        async fn $name(value: $ty) -> HttpResponse {
            drop(value);
            HttpResponse::Ok().finish()
        }
    };
}

handler!(through_a_macro, Option<User<model::Account>>);

fn names_of_generated_code_do_not_collide() {
    #[with_session]
    async fn request(payload: String, p0: web::Query<Form>, p1: Locals) -> String {
        p1.clear_session();
        payload + &p0.name
    }
    let _ = App::new().route("/", web::get().to(request));
}

fn main() {
    names_of_generated_code_do_not_collide();
    let _ = App::new()
        .route("/1", web::post().to(patterns))
        .route("/2", web::post().to(alias))
        .route("/3", web::post().to(json))
        .route("/4", web::post().to(multipart))
        .route("/5", web::post().to(sixteen))
        .route("/6", web::post().to(through_a_macro));
}
