/* The log is the lock: append, takeover, ambiguous answers, packing, deletion and restore, for any
 * interleaving.
 *
 * A LIFE is one process of one owner. It starts once and may stall before any step, for any time. To stall
 * for ever is to crash (all promises here are about what never happens), and the next life is the restart.
 * Lives overlap freely.
 *
 * The store decides a PUT when the request arrives. A request stays in the network for any time, also after
 * its sender gave up or died, and may get lost; a sender that gave up may send again, so copies land late and
 * twice. A DELETE is delayed in the same way. LIST and GET are atomic when they happen, and what they said
 * may be old when it is used.
 *
 * Each switch takes one rule out; what that rule is in the program stands in README.md:
 *   DEL_OPENS     opens are deleted from log/ like any packed record
 *   DEL_HEAD      an owner packs and deletes its newest confirmed record too
 *   NO_CHECK      a takeover counts without a LIST begun after its PUT
 *   RECUT         a retry after a timeout carries other bytes than the first attempt
 *   NO_PREV       opens carry no hash of the record before them
 *   NO_RECHECK    a reader doesn't list the packs again when it is done (with READER)
 * and these are harmless, and stay so:
 *   ABSENT_RETRY  a 412 and then a 404 mean "try again", instead of "fenced"
 *   BLIND_412     a 412 means "fenced" without reading back
 *
 * Bounds: LIVES, MAXP positions, NREQ PUTs in flight, RETRIES of each. FAST_READ makes a restore one step,
 * NO_LOSS lets requests be late but never lost, WITH_CLOSE adds close records, READER a reader that doesn't
 * take over. */
#ifndef LIVES
#define LIVES 2
#endif
#ifndef MAXP
#define MAXP 4
#endif
#ifndef NREQ
#define NREQ 3
#endif
#ifndef RETRIES
#define RETRIES 1
#endif

#ifdef STORY /* a search breadth first knows no hidden variables */
#define hidden
#endif

/* A record's bytes: whose, what, where. 0 is no object, and equal numbers are equal bytes. */
#define RECUT_DATA 0
#define OPEN 1
#define DATA 2
#define CLOSE 3
#define RECORD(life, kind, position) (((life) << 6) | ((kind) << 4) | (position))
#define POSITION(record) ((record)&15)
#define KIND(record) (((record) >> 4) & 3)
#define LIFE(record) ((record) >> 6)
#define BIT(n) (1 << (n))

#ifdef NO_PREV
#define NAMES_ITS_PREDECESSOR(record) (KIND(record) != OPEN)
#define TAIL_IS_WRONG false
#else
#define NAMES_ITS_PREDECESSOR(record) true
/* Our own open names the hash of the head that was read before it was sent. */
#define TAIL_IS_WRONG (last != head_read)
#endif
#ifdef DEL_HEAD
#define MARGIN 0
#else
#define MARGIN 1
#endif
#ifdef DEL_OPENS
#define MAY_DELETE(position) true
#else
#define MAY_DELETE(position) (KIND(chain[position]) != OPEN)
#endif

/* The promises. A broken one is named by the assertion that fails; the names are never anything but 0. */
hidden byte lost_write, two_owners, wrong_read, gap;
#define PROMISE(name, holds) assert(name || (holds))

/* The store and the network */
byte log[MAXP + 2];  /* log/p: a record or nothing */
byte packed;         /* packs hold the records 1..packed, the chain's: a packer packs what its hashes prove */
byte puts[NREQ];     /* PUTs in flight: a set, sorted, packed to the left */
byte deletes;        /* bit p: a DELETE of log/p is in flight */
byte awaited[LIVES]; /* the PUT that a life waits for */
byte answer[LIVES];  /* 0 none yet, 1 created, 2 precondition failed */
byte started;

/* What nobody in the model decides by, except through the hash that a record carries of the one before it */
byte chain[MAXP + 2]; /* what filled position p first */
byte acknowledged;    /* bit p: a client was told that record p is durable */

inline list_head(result)
{
    result = MAXP + 1;
    do :: result > 0 && log[result] == 0 -> result-- :: else -> break od
}

/* A PUT with If-None-Match: * arrives. */
inline put_arrives(record)
{
    if
    :: log[POSITION(record)] == 0 ->
        log[POSITION(record)] = record;
        printf("MSC: store: PUT log/%d by life %d created, %d (1 open, 2 data, 3 close), stray %d\n",
               POSITION(record), LIFE(record), KIND(record), chain[POSITION(record)] != 0);
        if
        :: chain[POSITION(record)] == 0 ->
            chain[POSITION(record)] = record;
            PROMISE(gap, POSITION(record) == 1 || chain[POSITION(record) - 1] != 0)
        :: else
        fi;
        if :: awaited[LIFE(record)] == record -> answer[LIFE(record)] = 1 :: else fi
    :: else ->
        if :: awaited[LIFE(record)] == record -> answer[LIFE(record)] = 2 :: else fi
    fi
}

inline forget_put(slot)
{
    j = slot;
    do :: j < NREQ - 1 -> puts[j] = puts[j + 1]; j++ :: else -> break od;
    puts[NREQ - 1] = 0;
    j = 0
}

inline send_put(record)
{
    j = NREQ - 1;
    do
    :: j > 0 && (puts[j - 1] == 0 || puts[j - 1] < record) -> puts[j] = puts[j - 1]; j--
    :: else -> break
    od;
    puts[j] = record;
    j = 0;
    awaited[me] = record;
    answer[me] = 0
}

active proctype Network()
{
    byte i, j, p;

    do
    :: atomic {
        puts[0] != 0 ->
        i = 0;
        do
        :: i < NREQ - 1 && puts[i + 1] != 0 -> i++
        :: break
        od;
        if
        :: true -> put_arrives(puts[i])
#ifndef NO_LOSS
        :: true -> skip
#endif
        fi;
        forget_put(i);
        i = 0
    }
    :: atomic {
        deletes != 0 ->
        p = 1;
        do
        :: (deletes & BIT(p)) -> break
        :: (deletes >> (p + 1)) != 0 -> p++
        od;
        deletes = deletes & (255 - BIT(p));
        log[p] = 0;
        printf("MSC: store: DELETE log/%d takes effect\n", p);
        p = 0
    }
    od
}

/* Reads the chain 1..n as a restore does: the packs are listed first, then loose records are fetched one by
 * one while packing, deletion and strays go on. Each record proves the one before it; a mismatch or a 404
 * means: list again. */
inline read_chain(n, tail_is_wrong)
{
#ifdef FAST_READ
    atomic {
        listed = packed;
        p = listed + 1;
        do :: p <= n -> PROMISE(wrong_read, log[p] == chain[p]); p++ :: else -> break od;
        p = 0;
        listed = 0;
        PROMISE(wrong_read, n <= packed || n == 0 || log[n] == chain[n])
    }
#else
    skip;
again:
    atomic {
        listed = (packed > n -> n : packed);
        p = listed + 1;
        last = (listed > 0 -> chain[listed] : 0);
        wrong = 0
    }
    do
    :: atomic {
        p <= n ->
        found = log[p];
        if
        :: found == 0 -> goto again
        :: found != 0 && found == chain[p] && p > 1 && last != chain[p - 1] && NAMES_ITS_PREDECESSOR(found) ->
            goto again
        :: else ->
            if :: found != chain[p] -> wrong = 1 :: else fi;
            last = found;
            p++
        fi;
        found = 0
    }
    :: atomic {
        p > n ->
        if :: n > listed && tail_is_wrong -> goto again :: else fi;
        PROMISE(wrong_read, wrong == 0);
        p = 0;
        listed = 0;
        last = 0;
        break
    }
    od
#endif
}

proctype Owner(byte me)
{
    byte n;        /* while taking over: the head; then: the newest confirmed position */
    byte own_open; /* its position, 0 while not the owner */
    byte record;   /* what is being appended; frozen once it was sent */
    byte found, listed, p, last, head_read, j, q;
    bit tries, wrong;

    atomic { started == me -> started++ }

list:
    atomic {
        record = 0;
        tries = 0;
        list_head(n);
        printf("MSC: life %d: LIST says head %d\n", me, n);
        if :: n >= MAXP -> goto done :: else fi
#ifndef FAST_READ
    }
    atomic {
#endif
        if
        :: n == 0 -> head_read = 0
        :: n > 0 && log[n] != 0 -> head_read = log[n]
        :: else -> goto list
        fi;
        record = RECORD(me, OPEN, n + 1)
    }

put:
    atomic { puts[NREQ - 1] == 0 -> send_put(record) }
    if
    :: atomic { answer[me] == 1 -> awaited[me] = 0; answer[me] = 0; goto stored }
    :: atomic {
        answer[me] == 2 ->
        awaited[me] = 0;
        answer[me] = 0;
#ifdef BLIND_412
        goto not_ours;
#endif
        found = log[POSITION(record)];
        if
        :: found == record -> found = 0; goto stored
        :: found == 0 ->
#ifdef ABSENT_RETRY
            if
            :: tries < RETRIES -> tries++; goto put
            :: else -> goto done
            fi
#else
            goto not_ours
#endif
        :: else -> found = 0; goto not_ours
        fi
    }
    :: atomic { /* a timeout: read back */
        answer[me] == 0 && (tries < RETRIES || log[POSITION(record)] != 0) ->
        awaited[me] = 0;
        found = log[POSITION(record)];
        printf("MSC: life %d: gives up waiting for log/%d, reads back %d\n", me, POSITION(record), found);
        if
        :: found == record -> found = 0; goto stored
        :: found == 0 ->
            tries++;
#ifdef RECUT
            if
            :: own_open > 0 && KIND(record) == DATA -> record = RECORD(me, RECUT_DATA, POSITION(record))
            :: else
            fi;
#endif
            goto put
        :: else -> found = 0; goto not_ours
        fi
    }
    fi;

not_ours: /* a claimant chases the head, an owner is fenced */
    atomic {
        if
        :: own_open == 0 -> goto list
        :: else -> goto done
        fi
    }

stored:
    atomic {
        tries = 0;
        if :: own_open > 0 -> goto appended :: else fi;
#ifndef NO_CHECK
        list_head(q);
        if :: q != n + 1 || log[n + 1] != record -> q = 0; goto list :: else fi;
        q = 0;
#endif
        skip
    }
    read_chain(n, TAIL_IS_WRONG);
    atomic {
        n = n + 1;
        own_open = n;
        head_read = 0;
        record = 0;
        printf("MSC: life %d: restored 1..%d, owner from %d\n", me, n - 1, n);
#ifdef NO_CHECK
        skip
#else
        /* Nobody before us acknowledged anything at or above our open. */
        PROMISE(lost_write, (acknowledged >> n) == 0 || chain[n] == RECORD(me, OPEN, n))
#endif
    }
    goto serve;

appended:
    atomic {
        n = POSITION(record);
        if :: KIND(record) == CLOSE -> PROMISE(lost_write, chain[n] == record); goto done :: else fi;
        printf("MSC: life %d: ACK record %d\n", me, n);
        PROMISE(lost_write, chain[n] == record);
        q = own_open + 1;
        do :: q <= n -> PROMISE(two_owners, LIFE(chain[q]) == me); q++ :: else -> break od;
        q = 0;
        acknowledged = acknowledged | BIT(n);
        record = 0
    }

serve:
    if
    :: atomic { n < MAXP -> record = RECORD(me, DATA, n + 1); goto put }
#ifdef WITH_CLOSE
    :: atomic { n < MAXP -> record = RECORD(me, CLOSE, n + 1); goto put }
#endif
    :: atomic { /* one record more into the packs, and its DELETE on its way */
        packed + MARGIN < n ->
        packed++;
        printf("MSC: life %d: packs record %d\n", me, packed);
        if :: MAY_DELETE(packed) -> deletes = deletes | BIT(packed) :: else fi;
        goto serve
    }
    fi;

done: /* what ended looks alike, whatever it knew: fewer states */
    atomic {
        n = 0; own_open = 0; record = 0; found = 0; listed = 0; p = 0; last = 0; head_read = 0; j = 0; q = 0;
        tries = 0; wrong = 0; awaited[me] = 0; answer[me] = 0
    }
}

#ifdef READER
/* restore --at, verify, list: reads without taking over. No successor proves its last record, so it lists the
 * packs again when it is done, and starts over if they grew. */
#ifdef NO_RECHECK
#define PACKS_GREW false
#else
#define PACKS_GREW (packed > listed)
#endif
active proctype Reader()
{
    byte n, found, listed, p, last;
    bit wrong;

    atomic {
        list_head(n);
        if :: n == 0 -> goto done :: else fi;
        PROMISE(lost_write, (acknowledged >> (n + 1)) == 0)
    }
    read_chain(n, PACKS_GREW);
done:
    skip
}
#endif

init
{
    byte i;

    atomic {
        do :: i < LIVES -> run Owner(i); i++ :: else -> break od
    }
}
