// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's iSCSI: open-iscsi logs in, and goes on by itself from then on. Its daemon makes a
 * new connection where one is lost, and the SCSI disk stays.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

#define LOGIN "/iscsi-login"

struct words {
	char address[16], port[6], login[6], interval[6], timeout[6], replacement[12];
};

static void say(struct words *words, const struct cb_login *login)
{
	const unsigned char *octets = (const unsigned char *)&login->address;

	snprintf(words->address, sizeof(words->address), "%u.%u.%u.%u", octets[0], octets[1],
		 octets[2], octets[3]);
	snprintf(words->port, sizeof(words->port), "%u", ntohs(login->port));
	snprintf(words->login, sizeof(words->login), "%u", login->login_timeout_s);
	snprintf(words->interval, sizeof(words->interval), "%u", login->noop_interval_s);
	snprintf(words->timeout, sizeof(words->timeout), "%u", login->noop_timeout_s);
	snprintf(words->replacement, sizeof(words->replacement), "%d",
		 login->replacement_timeout_s);
}

/* The agent's own signals are blocked, and a program inherits that. */
static int run(char **arguments)
{
	static char *const environment[] = { "PATH=/bin:/sbin", NULL };
	posix_spawnattr_t attributes;
	int error, status;
	sigset_t none;
	pid_t pid;

	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	error = posix_spawn(&pid, arguments[0], NULL, &attributes, arguments, environment);
	posix_spawnattr_destroy(&attributes);
	if (error)
		return -error;
	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status ? -EIO : 0;
}

int iscsi_attach(const struct cb_login *login, uint64_t *bytes)
{
	struct words words;
	char *arguments[] = { LOGIN, (char *)login->initiator, (char *)login->target,
			      words.address, words.port, words.login, words.interval,
			      words.timeout, words.replacement, (char *)login->user,
			      (char *)login->secret, NULL };
	int error;

	if (access(LOGIN, X_OK))
		return -EOPNOTSUPP;
	say(&words, login);
	error = run(arguments);
	return error ? error : disk_wait(ISCSI_DEVICE, bytes);
}
