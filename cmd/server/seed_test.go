package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ledgerhook/ledgerhook/internal/event"
	"github.com/ledgerhook/ledgerhook/internal/source/shopify"
	"github.com/ledgerhook/ledgerhook/internal/store/sqlite"
)

// seed fills inbox.db for the scripts: three dead letters of two causes, a
// pending event, and a request that was refused although its secret is "one".
func seed() {
	if err := fill(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "seed:", err)
		os.Exit(1)
	}
}

func fill(ctx context.Context) error {
	db, err := sqlite.Open(ctx, sqlite.Options{Path: "inbox.db"})
	if err != nil {
		return err
	}
	for n, reason := range []string{"no account", "no group", "no group"} {
		if err := die(ctx, db, n, reason); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	_, err = db.Put(ctx, event.Event{Source: "shopify", Provider: "shopify", ProviderID: "evt-9", Topic: "orders/create", Subject: "order/9", Body: []byte("{}")})
	return errors.Join(err, refuse(ctx, db), db.Close())
}

func die(ctx context.Context, db *sqlite.DB, n int, reason string) error {
	_, err := db.Put(ctx, event.Event{
		Source: "shopify", Provider: "shopify", ProviderID: fmt.Sprint("evt-", n), Topic: "orders/create", Subject: fmt.Sprint("order/", n), Body: []byte("{}"),
	})
	if err != nil {
		return err
	}
	c, err := db.Claim(ctx, time.Minute)
	if err != nil {
		return err
	}
	return db.Settle(ctx, c, event.Outcome{
		State: event.Dead, Result: "dead", Class: "rejected", Reason: reason, Hint: "make it in ERPNext", DocType: "Sales Order",
		Exchanges: []event.Exchange{{Op: "erpnext.create Sales Order", Method: "POST", Status: 417, Class: "rejected", Message: reason, Request: `{"qty":1}`}},
	})
}

func refuse(ctx context.Context, db *sqlite.DB) error {
	src, err := shopify.New(shopify.Options{Secrets: []string{"one"}})
	if err != nil {
		return err
	}
	body := []byte(`{"id":77,"name":"#77"}`)
	h, err := src.Sign(body, "orders/create", "late", time.Now())
	if err != nil {
		return err
	}
	return db.Reject(ctx, event.RejectionBounds{PerSource: 10, Bytes: 1 << 20, Age: time.Hour}, event.Rejection{
		ID: "rj_late", Source: "shopify", Class: "bad_signature", Reason: "no secret gives the signature", Client: "192.0.2.1",
		ReceivedAt: time.Now(), Header: h, Body: body, Size: int64(len(body)), Whole: true,
	})
}
