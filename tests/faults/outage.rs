//! A server that is down, slow, full or cut off: 503, and nobody is logged out.

use std::time::Duration;

use actix_web::http::StatusCode;
use futures_util::future::join_all;
use locals::store::SqlStore;
use sqlx::pool::PoolOptions;

use crate::{
    proxied::Proxied,
    proxy::Way,
    servers::Server,
    support::{Client, Engine, Fixture},
    tests_on,
};

tests_on!(servers: [
    a_server_that_is_down_causes_503_and_the_cookie_works_afterwards,
    requests_without_a_cookie_are_served_while_the_server_is_down,
    logging_out_while_the_server_is_down_is_an_error,
    connections_lost_in_the_pool_fail_no_request,
    a_connection_cut_at_any_byte_logs_nobody_out,
    a_server_that_does_not_answer_causes_503_within_the_timeout_and_no_pile_up,
    a_pool_without_a_free_connection_is_503_until_one_is_free,
]);

async fn a_server_that_is_down_causes_503_and_the_cookie_works_afterwards<E: Engine + Server>() {
    let Proxied { fixture, mut proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let token = client.token(1).await;

    proxy.go_down().await;
    let replies = join_all((0..100).map(|number| {
        let path = ["/me", "/public"][number % 2];
        client.get(path, &token)
    }));
    for reply in replies.await {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    assert!(client.login(1, &token).await.is_unavailable());

    proxy.come_back().await;
    for reply in join_all((0..50).map(|_| client.me(&token))).await {
        assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "name-1"));
        assert!(reply.cookies.is_empty());
    }
    let newer = client.login(2, &token).await.token();
    assert_eq!(client.me(&newer).await.body, "name-2");
    assert_eq!(client.me(&token).await.status, StatusCode::UNAUTHORIZED);
}

async fn requests_without_a_cookie_are_served_while_the_server_is_down<E: Engine + Server>() {
    let Proxied { fixture, mut proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    proxy.go_down().await;
    for token in ["", "not-a-token"] {
        assert_eq!(client.get("/public", token).await.body, "nobody");
        assert_eq!(client.me(token).await.status, StatusCode::UNAUTHORIZED);
    }
}

async fn logging_out_while_the_server_is_down_is_an_error<E: Engine + Server>() {
    let Proxied { fixture, mut proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let token = client.token(1).await;
    proxy.go_down().await;
    assert!(client.logout(&token).await.is_unavailable());
    proxy.come_back().await;
    assert!(client.me(&token).await.is_ok());
    assert!(client.logout(&token).await.removes_the_cookie());
    assert_eq!(fixture.sessions().await, 0);
}

async fn connections_lost_in_the_pool_fail_no_request<E: Engine + Server>() {
    let Proxied { fixture, proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    for round in 0..10 {
        let (kept, token) = (client.token(1).await, client.token(2).await);
        // As many as the pool holds.
        for reply in join_all((0..20).map(|_| client.me(&kept))).await {
            assert_eq!(reply.body, "name-1");
        }
        proxy.cut();
        for reply in join_all((0..20).map(|_| client.me(&kept))).await {
            assert_eq!(reply.body, "name-1", "round {round}");
        }
        proxy.cut();
        let newer = client.login(3, "").await.token();
        proxy.cut();
        assert!(client.logout(&token).await.removes_the_cookie());
        proxy.cut();
        assert_eq!(client.me(&newer).await.body, "name-3");
        assert_eq!(client.me(&token).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(fixture.sessions().await, 20);
}

async fn a_connection_cut_at_any_byte_logs_nobody_out<E: Engine + Server>() {
    let Proxied { fixture, proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let kept = client.token(1).await;
    let mut cuts = 0;
    for way in [Way::FromServer, Way::ToServer] {
        for bytes in (0..32).chain((32..700).step_by(29)) {
            let at = format!("{way:?} after {bytes}");
            assert!(client.me(&kept).await.is_ok());
            // So that it is the read that is cut, and not a new connection made for it.
            fixture.settle(0).await;
            proxy.cut_after(way, bytes);
            let reply = client.me(&kept).await;
            cuts += usize::from(!proxy.call_off());
            assert_eq!(reply.body, "name-1", "a read is done again, {at}: {reply:?}");

            proxy.cut_after(way, bytes);
            let reply = client.login(2, "").await;
            cuts += usize::from(!proxy.call_off());
            let token = if reply.is_unavailable() { client.token(2).await } else { reply.token() };
            assert_eq!(client.me(&token).await.body, "name-2", "{at}");

            proxy.cut_after(way, bytes);
            let reply = client.logout(&token).await;
            cuts += usize::from(!proxy.call_off());
            if reply.is_unavailable() {
                assert!(client.logout(&token).await.is_ok(), "{at}");
            } else {
                assert!(reply.removes_the_cookie(), "{at}: {reply:?}");
            }
            assert_eq!(client.me(&token).await.status, StatusCode::UNAUTHORIZED, "{at}");
        }
    }
    assert!(cuts > 100, "{cuts} connections were cut");
    assert!(client.me(&kept).await.is_ok());
}

async fn a_server_that_does_not_answer_causes_503_within_the_timeout_and_no_pile_up<
    E: Engine + Server,
>() {
    let Proxied { fixture, proxy } = Proxied::<E>::new().await;
    let client = &fixture.client;
    let mut tokens = Vec::new();
    for id in 1..6 {
        tokens.push((client.token(id).await, format!("name-{id}")));
    }
    let all = || join_all((0..50).map(|number| client.me(&tokens[number % 5].0)));
    all().await;

    proxy.stall(true);
    for reply in all().await {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    assert!(client.login(1, "").await.is_unavailable());
    assert!(client.logout(&tokens[0].0).await.is_unavailable());

    proxy.stall(false);
    for (number, reply) in all().await.into_iter().enumerate() {
        assert_eq!(reply.body, tokens[number % 5].1, "no answer is taken for that to another");
    }
    assert!(fixture.store.pool().size() <= 10);
}

async fn a_pool_without_a_free_connection_is_503_until_one_is_free<E: Engine + Server>() {
    let Fixture { auth, url, .. } = &Fixture::<E>::new().await;
    let session = auth.create_session(&crate::support::Account::numbered(1)).await.unwrap();
    let token = session.token().expose_secret();
    let options = PoolOptions::<E>::new().max_connections(1);
    let pool = options.acquire_timeout(Duration::from_millis(200)).connect_lazy(url).unwrap();
    let narrow = E::builder(SqlStore::new(pool.clone())).build().unwrap();
    let client = Client::of(&narrow).await;

    // The first connection may take longer than a request is to wait.
    let held = loop {
        if let Ok(held) = pool.acquire().await {
            break held;
        }
    };
    for reply in join_all((0..20).map(|_| client.me(token))).await {
        assert!(reply.is_unavailable(), "{reply:?}");
    }
    assert!(client.login(2, "").await.is_unavailable());
    assert!(client.logout(token).await.is_unavailable());
    drop(held);

    assert_eq!(client.me(token).await.body, "name-1");
    assert!(client.logout(token).await.removes_the_cookie());
    pool.close().await;
}
