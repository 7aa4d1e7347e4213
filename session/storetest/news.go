package storetest

import (
	"reflect"
	"slices"
	"time"

	"ronde/session"
)

func testNews(w *world) {
	watched, quiet := w.begun("badge-1", "badge-2"), w.begun("badge-3")
	missing := w.plan("badge-4")
	known := []session.Known{
		{Ref: session.Ref{Tenant: w.tenant, ID: watched.ID}, Revision: watched.Revision, Watched: true},
		{Ref: session.Ref{Tenant: w.tenant, ID: quiet.ID}, Revision: quiet.Revision},
		{Ref: session.Ref{Tenant: w.tenant, ID: missing.ID}, Revision: 1, Watched: true},
	}
	ask := func() session.News {
		w.Helper()
		news, err := w.Store.News(w.Context(), known)
		w.ok(err)
		if !news.Now.Equal(w.now) {
			w.Errorf("News is of %v, want %v", news.Now, w.now)
		}
		if len(news.Missing) != 1 || news.Missing[0] != missing.ID {
			w.Errorf("missing %v, want %v", news.Missing, missing.ID)
		}
		return news
	}
	if news := ask(); len(news.Missions) != 0 || len(news.Newest) != 0 {
		w.Errorf("news of nothing: %+v", news)
	}

	w.at(time.Minute)
	w.judged(watched, "badge-1", w.now, session.Stored)
	w.judged(watched, "badge-1", w.now.Add(-30*time.Second), session.Stored)
	w.judged(quiet, "badge-3", w.now, session.Stored)
	newest := []session.Newest{{Mission: watched.ID, Agent: "badge-1", At: w.now}}
	if news := ask(); len(news.Missions) != 0 || !reflect.DeepEqual(news.Newest, newest) {
		w.Errorf("news %+v, want the newest position of badge-1", news)
	}
	// The slot of a fast phone's position runs ahead of its time.
	w.judged(watched, "badge-2", w.now.Add(40*time.Second), session.Stored)
	w.at(time.Minute + 20*time.Second)
	w.judged(watched, "badge-2", w.now, session.Stored)
	newest = append(newest, session.Newest{Mission: watched.ID, Agent: "badge-2", At: w.now})
	news := ask()
	slices.SortFunc(news.Newest, func(a, b session.Newest) int { return a.At.Compare(b.At) })
	if !reflect.DeepEqual(news.Newest, newest) {
		w.Errorf("newest %+v, want %+v", news.Newest, newest)
	}

	// Only what is in the open window counts, and only revisions that differ.
	w.at(2 * time.Minute)
	after := w.do(watched, session.PauseAgent, "badge-2")
	news = ask()
	if len(news.Missions) != 1 || !reflect.DeepEqual(news.Missions[0], after) {
		w.Errorf("missions %+v, want\n%+v", news.Missions, after)
	}
	if !reflect.DeepEqual(news.Newest, newest[:1]) {
		w.Errorf("newest %+v, want %+v", news.Newest, newest[:1])
	}
	w.at(3 * time.Minute)
	known[0].Revision = w.do(watched, session.ResumeAgent, "badge-2").Revision
	if news = ask(); len(news.Missions) != 0 || !reflect.DeepEqual(news.Newest, newest[:1]) {
		w.Errorf("news %+v, want the newest position of badge-1", news)
	}
	// A revision that runs ahead, as after a restore, differs too.
	known[1].Revision += 5
	if news = ask(); len(news.Missions) != 1 || news.Missions[0].ID != quiet.ID {
		w.Errorf("missions %+v, want %s", news.Missions, quiet.ID)
	}
	known[1].Revision -= 5

	empty, err := w.Store.News(w.Context(), nil)
	w.ok(err)
	if !empty.Now.Equal(w.now) || len(empty.Missions)+len(empty.Missing)+len(empty.Newest) != 0 {
		w.Errorf("news of no mission: %+v", empty)
	}
}
