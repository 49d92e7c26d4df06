/* A program that knows nothing of Crossing: one kernel object of Windows, opened or created by name, and used as the
 * lines of standard input say. Each line is answered by one line.
 *
 *   kernel_objects mutex|semaphore|event|mapping create|open NAME [NUMBER NUMBER]
 *
 * The numbers: semaphore: permits and their maximum; event: manual reset and set; mapping: bytes. */
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

static void say(const char *text) {
  printf("%s\n", text);
  fflush(stdout);
}

static void say_error(void) {
  printf("error %lu\n", GetLastError());
  fflush(stdout);
}

static HANDLE get(const wchar_t *kind, BOOL create, const wchar_t *name, long a, long b) {
  if (!wcscmp(kind, L"mutex"))
    return create ? CreateMutexW(NULL, a != 0, name) : OpenMutexW(SYNCHRONIZE | MUTEX_MODIFY_STATE, FALSE, name);
  if (!wcscmp(kind, L"semaphore"))
    return create ? CreateSemaphoreW(NULL, a, b, name)
                  : OpenSemaphoreW(SYNCHRONIZE | SEMAPHORE_MODIFY_STATE, FALSE, name);
  if (!wcscmp(kind, L"event"))
    return create ? CreateEventW(NULL, a != 0, b != 0, name)
                  : OpenEventW(SYNCHRONIZE | EVENT_MODIFY_STATE, FALSE, name);
  if (!wcscmp(kind, L"mapping"))
    return create ? CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_READWRITE, 0, (DWORD)a, name)
                  : OpenFileMappingW(FILE_MAP_READ | FILE_MAP_WRITE, FALSE, name);
  SetLastError(ERROR_INVALID_PARAMETER);
  return NULL;
}

static void wait_for(HANDLE object, DWORD milliseconds) {
  switch (WaitForSingleObject(object, milliseconds)) {
  case WAIT_OBJECT_0: say("object"); break;
  case WAIT_ABANDONED: say("abandoned"); break;
  case WAIT_TIMEOUT: say("timeout"); break;
  default: say_error();
  }
}

/* Bytes are written as hexadecimal digits. */
static void put(unsigned char *view, const char *digits) {
  unsigned byte;
  for (; sscanf(digits, "%2x", &byte) == 1; digits += 2) *view++ = (unsigned char)byte;
  say("put");
}

static void show(const unsigned char *view, unsigned long count) {
  while (count--) printf("%02x", *view++);
  say("");
}

static void obey(HANDLE object, unsigned char *view, const char *line) {
  static char digits[2048];
  unsigned long a, b;
  LONG before;
  MEMORY_BASIC_INFORMATION pages;
  if (sscanf(line, "wait %lu", &a) == 1) {
    wait_for(object, a);
  } else if (!strncmp(line, "unlock", 6)) {
    if (ReleaseMutex(object)) say("unlocked"); else say_error();
  } else if (sscanf(line, "release %lu", &a) == 1) {
    if (!ReleaseSemaphore(object, (LONG)a, &before)) say_error();
    else { printf("before %ld\n", before); fflush(stdout); }
  } else if (!strncmp(line, "set", 3)) {
    if (SetEvent(object)) say("set"); else say_error();
  } else if (!strncmp(line, "reset", 5)) {
    if (ResetEvent(object)) say("reset"); else say_error();
  } else if (view && sscanf(line, "put %lu %2047s", &a, digits) == 2) {
    put(view + a, digits);
  } else if (view && sscanf(line, "get %lu %lu", &a, &b) == 2) {
    show(view + a, b);
  } else if (view && sscanf(line, "add %lu %lu", &a, &b) == 2) {
    printf("before %ld\n", InterlockedExchangeAdd((volatile LONG *)(view + a), (LONG)b));
    fflush(stdout);
  } else if (view && !strncmp(line, "size", 4)) {
    if (!VirtualQuery(view, &pages, sizeof pages)) say_error();
    else { printf("size %llu\n", (unsigned long long)pages.RegionSize); fflush(stdout); }
  } else {
    say("what?");
  }
}

int wmain(int count, wchar_t **args) {
  static char line[4096];
  unsigned char *view = NULL;
  BOOL create;
  HANDLE object;
  if (count < 4) return 2;
  _setmode(_fileno(stdout), _O_BINARY);
  create = !wcscmp(args[2], L"create");
  SetLastError(0);
  object = get(args[1], create, args[3], count > 4 ? wcstol(args[4], NULL, 10) : 0,
               count > 5 ? wcstol(args[5], NULL, 10) : 0);
  if (!object) { say_error(); return 1; }
  if (create && GetLastError() == ERROR_ALREADY_EXISTS) { say("exists"); return 1; }
  if (!wcscmp(args[1], L"mapping")) {
    view = MapViewOfFile(object, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0);
    if (!view) { say_error(); return 1; }
  }
  say("ready");
  while (fgets(line, sizeof line, stdin)) obey(object, view, line);
  return 0;
}
