package queue_test

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/b24rules/b24rules/internal/pgtemp"
	"github.com/b24rules/b24rules/internal/queue"

	"github.com/jackc/pgx/v5"
)

// conformance are the tests that run on every kind of database.
var conformance = []struct {
	name string
	test func(t *testing.T)
}{
	{"LiveRunsGoBeforeBackfill", testLiveRunsGoBeforeBackfill},
	{"AnEventBringsABackfillForward", testAnEventBringsABackfillForward},
	{"BackfillAndEventsMeet", testBackfillAndEventsOverlap},
	{"ABackfillKeepsItsPlace", testABackfillKeepsItsPlace},
	{"TallyCountsABackfill", testTallyCountsABackfill},

	{"Coalescing", testCoalescing},
	{"AnEventDuringARunIsFollowedByARun", testAnEventDuringARunIsFollowedByARun},
	{"AnEventOfARunThatFailsMeanwhileJoinsIt", testAnEventOfARunThatFailsMeanwhileJoinsIt},
	{"RunsOfOneEntityTakeTurns", testRunsOfOneEntityTakeTurns},
	{"AnEventStartsItsRunAtOnce", testAnEventStartsItsRunAtOnce},
	{"ARunThatNeedNotWait", testARunThatNeedNotWait},
	{"AnEventWithoutRoutesIsKept", testAnEventWithoutRoutesIsKept},
	{"PushRefusesNonsense", testPushRefusesNonsense},

	{"ADeletedEntityWinsOverLateUpdates", testADeletedEntityWinsOverLateUpdates},
	{"ADeletedEntityIsRememberedForAMonth", testADeletedEntityIsRememberedForAMonth},
	{"MemoryChangesOnlyWithSuccess", testMemoryChangesOnlyWithSuccess},
	{"AValueThatIsEmptyIsForgotten", testAValueThatIsEmptyIsForgotten},
	{"ThePreviousVersionStoresOnce", testThePreviousVersionStoresOnce},
	{"Starts", testStarts},
	{"AFailedRunStartsNothing", testAFailedRunStartsNothing},
	{"StartsOfABackfill", testStartsOfABackfill},
	{"StartsDoNotDeadlock", testStartsDoNotDeadlock},
	{"Sleepers", testSleepers},
	{"AClockThatWasSetBack", testAClockThatWasSetBack},
	{"AnEventOfAFastClock", testAnEventOfAFastClock},
	{"ASleeperOfADeletedEntity", testASleeperOfADeletedEntity},
	{"DoneMarks", testDoneMarks},
	{"DiscardForgetsDoneMarks", testDiscardForgetsDoneMarks},
	{"MarkDoneOutlivesItsContext", testMarkDoneOutlivesItsContext},
	{"ReplayAndDiscardMindTheState", testReplayAndDiscardMindTheState},
	{"RepairsByFilter", testRepairsByFilter},
	{"AttemptsAreCountedOn", testAttemptsAreCountedOn},
	{"JoinedRunsAreFound", testJoinedRunsAreFound},
	{"Causes", testCauses},
	{"Served", testServed},
	{"ARunThatAwaitsAnEvent", testARunThatAwaitsAnEvent},

	{"UnroutedEvents", testUnroutedEvents},
	{"WhatIsHeldDoesNotStart", testWhatIsHeldDoesNotStart},
	{"OneRunPasses", testOneRunPasses},
	{"WhatIsPausedDoesNotStart", testWhatIsPausedDoesNotStart},
	{"APauseReachesWhatWaitsForAWorker", testAPauseReachesWhatWaitsForAWorker},
	{"PauseWantsSomething", testPauseWantsSomething},

	{"RunsAreChosen", testRunsAreChosen},
	{"LatestEvents", testLatestEvents},
	{"EventsAreChosen", testEventsAreChosen},
	{"WorkWithAnEndedContext", testWorkWithAnEndedContext},
	{"WaitIdleEndsWithItsContext", testWaitIdleEndsWithItsContext},
	{"Backlogs", testBacklogs},
	{"Days", testDays},
	{"RunsWithoutAnOutcome", testRunsWithoutAnOutcome},

	{"HistoryIsKeptForItsTime", testHistoryIsKeptForItsTime},
	{"SweepingMuch", testSweepingMuch},

	{"AFailingRunIsRetriedAndThenParked", testAFailingRunIsRetriedAndThenParked},
	{"BackoffIsBoundedAndJittered", testBackoffIsBoundedAndJittered},
	{"ResultsOfAnAttempt", testResultsOfAnAttempt},
	{"WritesAtTheEnd", testWritesAtTheEnd},
	{"ANewEventBringsARetryForward", testANewEventBringsARetryForward},

	{"StopLetsRunsFinish", testStopLetsRunsFinish},
	{"StopCancelsRunsAfterTheGrace", testStopCancelsRunsAfterTheGrace},
	{"OneWorkAtATime", testOneWorkAtATime},
	{"APortalUsesUpItsOwnWorkersOnly", testAPortalUsesUpItsOwnWorkersOnly},
	{"ABlockedRunIsWoken", testABlockedRunIsWoken},
	{"OneRunPerEntityUnderLoad", testOneRunPerEntityUnderLoad},
}

func TestSQLite(t *testing.T) {
	for _, tt := range conformance {
		t.Run(tt.name, tt.test)
	}
}

func TestPostgreSQL(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute, and TestSQLite runs the same code")
	}
	newPostgres(t)
	for _, tt := range conformance {
		t.Run(tt.name, tt.test)
	}
}

// postgres are the databases of this process; TestMain closes them.
var postgres pgtemp.Pool

// emptyPostgres is a migrated database to copy: the tests would otherwise spend most
// of their time on migrations.
var emptyPostgres = sync.OnceValues(func() (name string, err error) {
	ctx := context.Background()
	name, dsn, err := postgres.Create(ctx, "")
	if err != nil {
		return "", err
	}
	q, err := queue.Open(ctx, dsn, queue.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	return name, q.Close()
})

// emptyDSN returns the URL of a new database that no other test uses.
func emptyDSN(t testing.TB) string {
	t.Helper()
	empty, err := emptyPostgres()
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, dsn, err := postgres.Create(t.Context(), empty)
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

func init() { queue.EmptyDSN(emptyDSN) }

// newPostgres returns the URL of a new database. It skips the test where PostgreSQL
// is not installed, except in CI.
func newPostgres(t testing.TB) string {
	t.Helper()
	empty, err := emptyPostgres()
	if pgtemp.Missing(err) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	dsn, err := usedPostgres.take(ctx, empty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := usedPostgres.put(ctx, dsn); err != nil {
			t.Error(err)
		}
	})
	return dsn
}

// usedPostgres are databases that no test uses any more: to empty one takes less
// time than to create one.
var usedPostgres used

type used struct {
	mu  sync.Mutex
	dsn []string
}

func (u *used) take(ctx context.Context, template string) (dsn string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if n := len(u.dsn); n > 0 {
		dsn, u.dsn = u.dsn[n-1], u.dsn[:n-1]
		return dsn, nil
	}
	_, dsn, err = postgres.Create(ctx, template)
	return dsn, err
}

func (u *used) put(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `TRUNCATE b24_event, b24_run, b24_run_event, b24_run_act, b24_alert, b24_alert_message, b24_attempt, b24_memory, b24_number, b24_done, b24_tombstone,
    b24_pause, b24_hold, b24_note, b24_job, b24_reload, b24_refused, b24_applied, b24_worker, b24_lease RESTART IDENTITY`)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.dsn = append(u.dsn, dsn)
	return nil
}

// runTests runs the tests and removes what they have started.
func runTests(m *testing.M) int {
	// Parallel tests mostly wait: for a lease, another process. A flag on the command line prevails.
	if err := flag.Set("test.parallel", strconv.Itoa(max(10, runtime.GOMAXPROCS(0)))); err != nil {
		slog.Error("run tests in parallel", "error", err)
		return 1
	}
	return postgres.Run(m)
}
