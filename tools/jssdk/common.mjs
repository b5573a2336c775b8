// What the scripts share. Each is run by emulator/jssdk_test.go against an
// emulator of its own and writes what the SDK made of it as one line of JSON,
// the last of its output: the SDK may print warnings before.
import { B24Hook, B24OAuth } from '@bitrix24/b24jssdk'

/** connect makes a client of the webhook that the test names. */
export function connect(options) {
  return B24Hook.fromWebhookUrl(process.env.B24_WEBHOOK, options)
}

/** app holds the keys of the application, as its developer has them. */
export const app = JSON.parse(process.env.B24_APPLICATION)

/** connectApp makes a client of the application. */
export function connectApp({ refreshToken = app.refresh_token, clientSecret = app.client_secret, seconds = 3600 } = {}) {
  return new B24OAuth({
    applicationToken: app.application_token,
    userId: 1,
    memberId: app.member_id,
    accessToken: app.access_token,
    refreshToken,
    expires: Math.floor(Date.now() / 1000) + seconds,
    expiresIn: 3600,
    scope: app.scope,
    domain: new URL(app.client_endpoint).host,
    clientEndpoint: app.client_endpoint,
    serverEndpoint: app.server_endpoint,
    status: 'L'
  }, { clientId: app.client_id, clientSecret })
}

/** told shows an answer of the SDK. */
export function told(answer) {
  if (!answer.isSuccess) {
    return { errors: [...answer.getErrors()].map(failed) }
  }
  return {
    result: answer.getData().result ?? null,
    total: answer.getTotal(),
    more: answer.isMore()
  }
}

/** failed shows an error of the SDK. */
export function failed(error) {
  return { name: error.name, code: error.code, status: error.status, message: error.message }
}

/** attempt shows the answer of a call, or the error that it threw. */
export async function attempt(promise) {
  try {
    return told(await promise)
  } catch (error) {
    return { thrown: failed(error) }
  }
}

export function report(seen) {
  process.stdout.write(JSON.stringify(seen) + '\n')
}
